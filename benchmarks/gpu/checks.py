"""Checks on one GPU: each returns what it found, and raises an error if that is wrong."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from functools import partial

import torch

from benchmarks.gpu.fits import ROOT, STEPS, Waits, command, loss_of, process, short
from datamodules import CropFlip, CutMix, Cutout, MixUp
from datamodules.augmentations.mixing import soft_targets
from lightning_modules.base.half_precision import exact_for_loss
from tests.lightning_modules.losses.cases import CASES, build, inputs
from tests.lightning_modules.optimizers.conformance import CASES as OPTIMIZERS
from tests.lightning_modules.optimizers.conformance import preset

TASKS = ("quickstart", "binary", "multilabel", "regression", "linear_regression", "segmentation", "segmentation_binary")
CLOSE = 0.05  # relative; TF32 and other orders of addition stay far below in so few steps


def near(found: float, expected: float, within: float = CLOSE) -> str:
    """Compare two losses.

    Raises:
        AssertionError: They differ by more than this share, or one is not finite.
    """
    text = f"loss {found:.5g}, on the CPU {expected:.5g}"
    assert math.isfinite(found) and math.isclose(found, expected, rel_tol=within, abs_tol=1e-3), text  # noqa: PT018
    return text


def trains(config: str, *words: str, within: float = CLOSE) -> str:
    """Train on the GPU with these words and on the CPU without them; compare the losses."""
    return near(loss_of(config, "gpu", *words), loss_of(config, "cpu"), within)


def gan(*words: str) -> str:
    """Train the GAN; its losses are not compared, as its dropout and noise come from the device."""
    run, _ = command(*short("gan", "gpu", *words))
    values = {name: float(value) for name, value in run.trainer.callback_metrics.items()}
    assert all(map(math.isfinite, values.values())), values
    return f"{len(values)} finite metrics after {STEPS} steps"


def waits(config: str) -> str:
    """Count the host's waits in three steps between logs."""
    command(*short(config, "gpu", "--data.batch_size=8", "--trainer.callbacks+=benchmarks.gpu.fits.Waits"))
    text = f"{Waits.per_step:g} waits a step{Waits.where}"
    assert Waits.per_step == 0, text
    return text


def resumes(*words: str) -> str:
    """Kill and resume a run; compare all state bit by bit."""
    said = process(
        "verify-resume", "-c", f"{ROOT}/configs/quickstart.yaml", "--trainer.accelerator=gpu", "--trainer.devices=1",
        "--trainer.deterministic=true", *words,
    )  # fmt: skip
    return said.strip().splitlines()[-1]


def changes_device(first: str, second: str) -> str:
    """Train on one device, resume and evaluate the run on the other."""
    run, _ = command(*short("quickstart", first, f"--experiment=from_{first}"))
    folder, scores = str(run.run.folder), []
    for accelerator in (first, second):
        said = command("evaluate", f"--ckpt_path={folder}", "--json", f"--trainer.accelerator={accelerator}")[1]
        scores.append(json.loads(said[said.index("{") :])["accuracy"])
    assert math.isclose(_number(scores[0]), _number(scores[1]), abs_tol=0.02), scores
    again, _ = command(*short("", second, f"--ckpt_path={folder}", "--trainer.max_epochs=2"))
    assert again.trainer.global_step == 2 * STEPS
    return f"accuracy {_number(scores[0]):.4f} and {_number(scores[1]):.4f}; resumed to step {2 * STEPS}"


def _number(score: object) -> float:
    return float(score["value"] if isinstance(score, dict) else score)  # type: ignore[arg-type, index]


def augmentations() -> str:
    """Compare every augmentation with the CPU's, bit by bit."""
    images = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8)
    rows, targets = torch.arange(16), soft_targets(torch.arange(16) % 10, 10)
    for kind in (CropFlip(2), CropFlip(2, flip="alternating"), Cutout()):
        assert torch.equal(kind(images.cuda(), rows.cuda(), 0, 1).cpu(), kind(images, rows, 0, 1)), kind
    for mixing in (MixUp(1.0), CutMix(1.0)):
        theirs = mixing.mix(images.float().cuda(), targets.cuda(), rows.cuda(), 0, 1)
        for found, expected in zip(theirs, mixing.mix(images.float(), targets, rows, 0, 1), strict=True):
            torch.testing.assert_close(found.cpu(), expected)
    return "CropFlip, Cutout the same bits; MixUp, CutMix the same values"


def losses(dtype: torch.dtype) -> str:
    """Compare every loss under the GPU's autocast with float32, as the CPU's tests do."""
    for name, case in CASES.items():
        for kind, (output, target) in inputs(case).items():
            if case.kind == "probability":
                continue  # the limits of 0 and 1 depend on the dtype
            half = output.to(dtype)
            expected = build(name)(half.float(), target)
            with torch.autocast("cuda", dtype):
                value = build(name).cuda()(exact_for_loss(half.cuda().requires_grad_()), target.cuda())
            value.backward()
            torch.testing.assert_close(value.detach().cpu(), expected, msg=f"{name} {kind}", rtol=1e-4, atol=1e-5)
    return f"{len(CASES)} losses"


def optimizers() -> str:
    """Compare ten steps of every optimizer preset with the CPU's."""
    worst = 0.0
    for name in OPTIMIZERS:
        torch.manual_seed(0)
        network, data = torch.nn.Linear(8, 8), torch.randn(32, 8)
        networks = {"cpu": network, "cuda": copy.deepcopy(network).cuda()}
        for where, one in networks.items():
            optimizer = preset(name)(one.parameters())
            if hasattr(optimizer, "train"):
                optimizer.train()
            for _ in range(10):
                optimizer.zero_grad()
                one(data.to(where)).square().mean().backward()
                optimizer.step()
        difference = (networks["cuda"].weight.cpu() - networks["cpu"].weight).abs().max().item()
        assert difference < 5e-3, f"{name}: weights differ by {difference:.2g}"
        worst = max(worst, difference)
    return f"{len(OPTIMIZERS)} optimizers, weights differ by {worst:.1g} at most"


def other(*words: str) -> str:
    """Run a command with the quickstart; return its last line."""
    said = command(*words, "-c", f"{ROOT}/configs/quickstart.yaml", "--trainer.accelerator=gpu")[1]
    return next(line for line in reversed(said.splitlines()) if line.strip())[:120]


def callback(name: str, *words: str) -> str:
    """Train with a callback, which may change the loss a little."""
    return trains("quickstart", f"--trainer.callbacks+=callbacks/{name}.yaml", *words, within=0.2)


CHECKS: dict[str, Callable[[], str]] = {
    **{f"task {name}": partial(trains, name) for name in TASKS},
    "task gan": gan,
    "task gan 16-mixed": partial(gan, "--trainer.precision=16-mixed"),
    **{
        f"precision {precision}": partial(trains, "quickstart", f"--trainer.precision={precision}", within=0.1)
        for precision in ("16-mixed", "bf16-mixed", "bf16-true")
    },
    **{f"waits {name}": partial(waits, name) for name in (*TASKS, "gan")},
    **{f"callback {name}": partial(callback, name) for name in ("gradient_norm", "black_box", "diagnostics", "ema")},
    "callback lr_finder": partial(callback, "lr_finder", "--trainer.limit_val_batches=2"),
    "augmentations": augmentations,
    "losses float16": partial(losses, torch.float16),
    "losses bfloat16": partial(losses, torch.bfloat16),
    "optimizers": optimizers,
    "checkpoint from GPU to CPU": partial(changes_device, "gpu", "cpu"),
    "checkpoint from CPU to GPU": partial(changes_device, "cpu", "gpu"),
    "profile": partial(other, "profile"),
    "resume 32-true": resumes,
    "resume 16-mixed": partial(resumes, "--trainer.precision=16-mixed"),
}
