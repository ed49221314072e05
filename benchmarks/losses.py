"""How fast the losses are, forward and backward, against the libraries that have the same one: ratios, and peak memory.

    python -m benchmarks.losses [--rounds 15] [--out losses.csv]

Same tensors, one process, one thread, and the time that it was given (others may be at work). Within a round the
contestants take turns; the ratio is the median over the rounds of ours / theirs: below 1 we are faster. Peak memory
is what the CPU allocator held at most during one forward and backward, above what it held before. torchvision and timm
are always there; libraries that are not installed are left out: `pip install monai segmentation-models-pytorch kornia`.
"""

import argparse
import csv
import importlib
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from lightning_modules import losses

Step = Callable[[Tensor, Tensor], Tensor]


class Race(NamedTuple):
    """One loss on one pair of tensors; ours comes first."""

    name: str
    output: Tensor
    target: Tensor
    steps: dict[str, Step]


class Row(NamedTuple):
    """What a contestant needed."""

    race: str
    shape: str
    who: str
    milliseconds: float
    spread: float  # half the interquartile range of the ratio
    ratio: float  # ours / theirs
    megabytes: float


def library(name: str) -> Any:
    """The module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def races() -> Iterator[Race]:
    """Every loss that a library has too, on tensors of the size that it is used with."""
    g = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(512, 100, generator=g), torch.randint(100, (512,), generator=g)
    scores, boxes = torch.randn(64, 20000, generator=g), (torch.rand(64, 20000, generator=g) < 0.1).float()
    scene, masks = torch.randn(8, 8, 128, 128, generator=g), torch.randint(8, (8, 128, 128), generator=g)
    blob, blobs = torch.randn(8, 1, 256, 256, generator=g), (torch.rand(8, 1, 256, 256, generator=g) < 0.2).float()
    values, truth = torch.randn(512, 1000, generator=g).abs(), torch.randn(512, 1000, generator=g).abs()
    yield Race("cross-entropy", logits, labels, cross_entropies())
    yield Race("cross-entropy, pixels", scene, masks, cross_entropies())
    yield Race("softmax focal", logits, labels, softmax_focals(pixels=False))
    yield Race("softmax focal, pixels", scene, masks, softmax_focals(pixels=True))
    yield Race("sigmoid cross-entropy", scores, boxes, sigmoid_cross_entropies())
    yield Race("sigmoid focal", scores, boxes, sigmoid_focals())
    yield Race("sigmoid focal, whole targets", scores, boxes.long(), sigmoid_focals())
    yield Race("BCE of probabilities", values / 10, (truth > 1).float(), probability_bces())
    yield Race("Dice", scene, masks, multiclass_overlaps("dice"))
    yield Race("Jaccard", scene, masks, multiclass_overlaps("jaccard"))
    yield Race("Tversky", scene, masks, multiclass_overlaps("tversky"))
    yield Race("Dice, binary", blob, blobs, binary_dices())
    yield Race("RMSE", values, truth, {"ours": losses.RMSELoss(), "torch √MSE": lambda x, y: F.mse_loss(x, y).sqrt()})
    yield Race("MSLE", values, truth, msles())


def cross_entropies() -> dict[str, Step]:
    """Torch's own is what ours is made of."""
    return {"ours": losses.WeightedCrossEntropyLoss(), "torch": F.cross_entropy}


def softmax_focals(pixels: bool) -> dict[str, Step]:
    """Focal loss over a softmax, γ = 2."""
    steps: dict[str, Step] = {"ours": losses.SoftmaxFocalLoss(2.0)}
    if kornia := library("kornia.losses"):
        steps["kornia"] = lambda x, y: kornia.focal_loss(x, y, None, 2.0, "mean")
    if monai := library("monai.losses"):
        focal = monai.FocalLoss(to_onehot_y=True, use_softmax=True, gamma=2.0)
        steps["monai"] = lambda x, y: focal(x, y.unsqueeze(1)) * x.shape[1]
    if not pixels:
        from timm.loss.asymmetric_loss import AsymmetricLossSingleLabel

        steps["timm"] = AsymmetricLossSingleLabel(gamma_pos=2, gamma_neg=0, eps=0.0)
    return steps


def sigmoid_cross_entropies() -> dict[str, Step]:
    """Torch's own is what ours is made of."""
    return {
        "ours": losses.SigmoidCrossEntropyLoss(),
        "torch": F.binary_cross_entropy_with_logits,
    }


def sigmoid_focals() -> dict[str, Step]:
    """Focal loss over yes-or-no questions, γ = 2, α = ¼."""
    from torchvision.ops import sigmoid_focal_loss

    steps: dict[str, Step] = {
        "ours": losses.SigmoidFocalLoss(2.0, 0.25),
        "torchvision": lambda x, y: sigmoid_focal_loss(x, y.float(), 0.25, 2.0, "mean"),
    }
    if kornia := library("kornia.losses"):
        steps["kornia"] = lambda x, y: kornia.binary_focal_loss_with_logits(x, y.float(), 0.25, 2.0, "mean")
    if monai := library("monai.losses"):
        focal = monai.FocalLoss(gamma=2.0, alpha=0.25)
        steps["monai"] = lambda x, y: focal(x[:, None], y[:, None].float())
    if smp := library("segmentation_models_pytorch.losses"):
        steps["smp"] = smp.FocalLoss("binary", alpha=0.25, gamma=2.0)
    return steps


def probability_bces() -> dict[str, Step]:
    """The values are probabilities below 1."""
    return {
        "ours": lambda x, y: losses.probability_bce(x.clamp(0, 1), y),
        "torch": lambda x, y: F.binary_cross_entropy(x.clamp(0, 1), y),
    }


def multiclass_overlaps(which: str) -> dict[str, Step]:
    """Overlap by class over the batch; kornia's and monai's are by image where they cannot do otherwise."""
    ours = {"dice": losses.DiceLoss(), "jaccard": losses.JaccardLoss(), "tversky": losses.TverskyLoss(0.3, 0.7)}
    steps: dict[str, Step] = {"ours": ours[which]}
    if smp := library("segmentation_models_pytorch.losses"):
        theirs = {
            "dice": lambda: smp.DiceLoss("multiclass", smooth=1.0),
            "jaccard": lambda: smp.JaccardLoss("multiclass", smooth=1.0),
            "tversky": lambda: smp.TverskyLoss("multiclass", smooth=1.0, alpha=0.3, beta=0.7),
        }
        steps["smp"] = theirs[which]()
    if monai := library("monai.losses"):
        options = {"to_onehot_y": True, "softmax": True, "batch": True}
        loss = {
            "dice": lambda: monai.DiceLoss(**options, smooth_nr=1.0, smooth_dr=1.0),
            "jaccard": lambda: monai.DiceLoss(**options, jaccard=True, smooth_nr=1.0, smooth_dr=1.0),
            "tversky": lambda: monai.TverskyLoss(**options, alpha=0.3, beta=0.7, smooth_nr=1.0, smooth_dr=1.0),
        }[which]()
        steps["monai"] = lambda x, y: loss(x, y.unsqueeze(1))
    if (kornia := library("kornia.losses")) and which != "jaccard":
        steps["kornia"] = kornia.dice_loss if which == "dice" else lambda x, y: kornia.tversky_loss(x, y, 0.3, 0.7)
    return steps


def binary_dices() -> dict[str, Step]:
    """One class against the background."""
    steps: dict[str, Step] = {"ours": losses.DiceLoss("binary")}
    if smp := library("segmentation_models_pytorch.losses"):
        steps["smp"] = smp.DiceLoss("binary", smooth=1.0)
    if monai := library("monai.losses"):
        steps["monai"] = monai.DiceLoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)
    return steps


def msles() -> dict[str, Step]:
    """Torchmetrics has it as a metric, with a gradient."""
    from torchmetrics.functional import mean_squared_log_error

    return {"ours": losses.MSLELoss(), "torchmetrics": mean_squared_log_error}


def run(race: Race, step: Step) -> Tensor:
    """One forward and backward."""
    output = race.output.detach().requires_grad_()
    value = step(output, race.target)
    value.backward()  # type: ignore[no-untyped-call]
    return value.detach()


def seconds(race: Race, step: Step, repeats: int) -> float:
    """Of one forward and backward."""
    start = time.process_time()
    for _ in range(repeats):
        run(race, step)
    return (time.process_time() - start) / repeats


def peak_bytes(race: Race, step: Step) -> int:
    """What the allocator held at most, above what it held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as p:
        run(race, step)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        p.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    held = [(e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]"]
    now = peak = 0
    for _, change in sorted(held, key=lambda event: event[0]):
        now += change
        peak = max(peak, now)
    return peak


def compete(race: Race, rounds: int) -> list[Row]:
    """Times in turn, ratios by round."""
    repeats = max(1, round(0.02 / seconds(race, race.steps["ours"], 3)))
    times: dict[str, list[float]] = {who: [] for who in race.steps}
    for _ in range(rounds):
        for who, step in race.steps.items():
            times[who].append(seconds(race, step, repeats))
    rows = []
    for who, step in race.steps.items():
        ratios = [ours / theirs for ours, theirs in zip(times["ours"], times[who], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        shape = " × ".join(map(str, race.output.shape))
        milliseconds, megabytes = statistics.median(times[who]) * 1e3, peak_bytes(race, step) / 2**20
        rows.append(Row(race.name, shape, who, milliseconds, (high - low) / 2, middle, megabytes))
    return rows


def main() -> None:
    """Run all races and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="races whose name contains this")
    parser.add_argument("--out", type=Path, help="a CSV file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    versions = {name: getattr(library(name), "__version__", "-") for name in ("torch", "timm", "torchvision")}
    peers = {
        name: getattr(library(name), "__version__", "-") for name in ("monai", "segmentation_models_pytorch", "kornia")
    }
    print(platform.processor() or platform.machine(), versions | peers, f"rounds {arguments.rounds}")
    rows = []
    for race in races():
        if arguments.only in race.name:
            for row in compete(race, arguments.rounds):
                rows.append(row)
                print(f"{row.race:30} {row.shape:18} {row.who:12} {row.milliseconds:8.3f} ms", end="  ")
                print(f"ours/theirs {row.ratio:5.2f} ± {row.spread:4.2f}  {row.megabytes:6.1f} MB")
    if arguments.out:
        with arguments.out.open("w", newline="") as file:
            csv.writer(file).writerows([Row._fields, *rows])


if __name__ == "__main__":
    main()
