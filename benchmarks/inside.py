"""What looking inside costs: training steps with and without the callbacks, and with Lightning's `grad_norm`.

    python -m benchmarks.inside NETWORK [--starts 6] [--rounds 1] [--out benchmarks/results/inside]

Each contestant is a whole `Trainer.fit` in a thread of its own, and only one of them runs at a time: they take turns
step by step (the MLP: 10 steps), in a new random order at each turn, so that whatever else the machine does hits them
alike. What counts is the CPU time of the thread from the start of one step to that of the next, logger included. A
round is 50 steps: one log and one sample of the diagnostics, as is their default. All contestants are started anew
some times, because where their tensors happen to lie makes up to 4 % of difference between equal ones. The ratio is
the geometric mean over the starts of contestant / nothing, with its 95 % interval (Student's t of the logarithms).
`nothing` is the same module without a norm: Descent's modules compute it always, and that is in their cost here. One
thread; no clipping. The CSV keeps the rows of other networks; the figure is of all that it holds.
"""

import argparse
import contextlib
import csv
import ctypes
import io
import logging
import math
import platform
import random
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import grad_norm
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks import BlackBox, Diagnostics, GradientNorm
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN

ROUND, WARM_UP = 50, 5  # steps
TARGETS = {"mlp": 1.15, "cnn": 1.05}  # of the upper ends
M_ARENA_MAX = -8  # mallopt(3) of glibc
FIELDS = ("network", "contestant", "start", "milliseconds_per_step")


class Plain(ImageClassifier):
    """Without a norm of its own."""

    configure_gradient_clipping = LightningModule.configure_gradient_clipping


class LightningsNorm(Callback):
    """As Lightning's documentation has it: the norms logged at every step."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Log them."""
        pl_module.log_dict(grad_norm(pl_module, norm_type=2))


CONTESTANTS: dict[str, tuple[type[ImageClassifier], Callable[[], list[Callback]]]] = {
    "nothing": (Plain, list),
    "GradientNorm": (ImageClassifier, lambda: [GradientNorm(report=False)]),
    "GradientNorm, any module": (Plain, lambda: [GradientNorm(report=False)]),
    "Lightning's grad_norm": (Plain, lambda: [LightningsNorm()]),
    "GradientNorm, Diagnostics": (ImageClassifier, lambda: [GradientNorm(report=False), Diagnostics()]),
    "the same, BlackBox": (ImageClassifier, lambda: [GradientNorm(report=False), Diagnostics(), BlackBox()]),
}


def mlp() -> nn.Module:
    """64 features, 128 hidden units, 10 classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str, int]] = {  # and batch, precision, turn
    "mlp": (mlp, (64, 1, 8, 8), "32-true", 10),
    "cnn": (SmallCNN, (250, 3, 32, 32), "bf16-mixed", 1),
}


class Batches:
    """Ready batches, so that no time goes into data.

    Args:
        shape: Of a batch of images.
        number: How many there are.
    """

    def __init__(self, shape: tuple[int, ...], number: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.batch = torch.randn(shape, generator=generator), torch.randint(0, 10, shape[:1], generator=generator)
        self.number = number

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([self.batch] * self.number)

    def __len__(self) -> int:
        return self.number


class Gate(Callback):
    """Lets a fit go on for some steps at a time; the first of its callbacks."""

    def __init__(self) -> None:
        self.go, self.arrived = threading.Semaphore(0), threading.Semaphore(0)
        self.steps, self.began, self.seconds = 0, 0.0, 0.0
        self.thread: threading.Thread | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Wait where a turn is over."""
        if self.steps == 0:
            self.seconds = time.thread_time() - self.began
            self.arrived.release()
            self.go.acquire()
            self.began = time.thread_time()
        self.steps -= 1

    def turn(self, steps: int) -> float:
        """CPU seconds of so many steps."""
        self.steps = steps
        self.go.release()
        self.arrived.acquire()
        return self.seconds

    def end(self) -> None:
        """Take the last step."""
        self.steps = 1
        self.go.release()
        assert self.thread is not None
        self.thread.join()


def started(network: str, contestant: str, steps: int, folder: Path) -> Gate:
    """A fit that waits at its first step."""
    make, shape, precision, _ = NETWORKS[network]
    kind, callbacks = CONTESTANTS[contestant]
    torch.manual_seed(0)
    body = make()
    module = kind(body, num_classes=10, optimizer=partial(torch.optim.SGD, lr=1e-3, momentum=0.9))
    gate = Gate()
    trainer = Trainer(
        accelerator="cpu",
        precision=precision,  # type: ignore[arg-type]
        max_epochs=1,
        logger=CSVLogger(folder, name=f"{network} {contestant}"),
        callbacks=[gate, *callbacks()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    gate.thread = threading.Thread(target=trainer.fit, args=(module, Batches(shape, steps)), daemon=True)
    gate.thread.start()
    gate.arrived.acquire()
    return gate


def measure(network: str, start: int, rounds: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the CSV, of one start of all contestants."""
    turn, order, chance = NETWORKS[network][3], list(CONTESTANTS), random.Random(start)
    chance.shuffle(order)
    gates = {name: started(network, name, WARM_UP + ROUND * rounds + 1, folder) for name in order}
    seconds = {name: 0.0 * gates[name].turn(WARM_UP) for name in CONTESTANTS}
    for _ in range(ROUND * rounds // turn):
        chance.shuffle(order)
        for name in order:
            seconds[name] += gates[name].turn(turn)
    for name, spent in seconds.items():
        gates[name].end()
        yield dict(zip(FIELDS, (network, name, start, round(spent / ROUND / rounds * 1000, 5)), strict=True))


def ratios(rows: list[dict[str, Any]], network: str) -> dict[str, tuple[float, float, float, float]]:
    """Milliseconds a step, ratio to nothing, and its 95 % interval, by contestant."""
    times: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for row in rows:
        if row["network"] == network:
            times[row["contestant"]].append(float(row["milliseconds_per_step"]))
    found = {}
    for name, own in times.items():
        logs = [math.log(mine / plain) for mine, plain in zip(own, times["nothing"], strict=True)]
        half = float(stats.t.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
        middle = statistics.fmean(logs)
        low, high = math.exp(middle - half), math.exp(middle + half)
        found[name] = (statistics.median(own), math.exp(middle), low, high)
    return found


def figure(rows: list[dict[str, Any]]) -> Figure:
    """The ratios with their intervals, a panel a network."""
    networks = list(dict.fromkeys(row["network"] for row in rows))
    shown = Figure(figsize=(9, 1.2 + 1.9 * len(networks)), layout="constrained")
    for axes, network in zip(shown.subplots(len(networks), squeeze=False)[:, 0], networks, strict=True):
        found = {name: values for name, values in ratios(rows, network).items() if name != "nothing"}
        for place, (_, ratio, low, high) in enumerate(found.values()):
            axes.errorbar(ratio, place, xerr=[[ratio - low], [high - ratio]], fmt="o", color="#0072B2", capsize=3)
            axes.annotate(f"{ratio:.3f}", (high, place), (6, 0), textcoords="offset points", va="center", fontsize=8)
        axes.set_yticks(range(len(found)), found)
        axes.set(title=f"{network}: step time / step time with nothing", ylim=(len(found) - 0.5, -0.5))
        axes.axvline(1, color="black", linewidth=0.8)
        axes.axvline(TARGETS[network], color="#D55E00", linestyle="--", linewidth=1, label=f"target {TARGETS[network]}")
        axes.margins(x=0.1)
        axes.grid(axis="x", alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    return shown


def main() -> None:
    """Measure, print, write the CSV and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--starts", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=1, help="of 50 steps, in each start")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/inside"))
    arguments = parser.parse_args()
    if platform.libc_ver()[0] == "glibc":  # else each thread, hence each contestant, has a heap of its own kind
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, 1)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    print(platform.platform(), "torch", torch.__version__, "threads", torch.get_num_threads())
    path, rows = arguments.out / "costs.csv", []
    if path.exists():
        rows = [row for row in csv.DictReader(path.open()) if row["network"] != arguments.network]
    with tempfile.TemporaryDirectory() as folder:
        for start in range(arguments.starts):
            with contextlib.redirect_stdout(io.StringIO()):  # what callbacks say at the end
                rows += measure(arguments.network, start, arguments.rounds, Path(folder))
    for name, (middle, ratio, low, high) in ratios(rows, arguments.network).items():
        print(f"{name:<26} {middle:9.3f} ms  {ratio:.3f} ({low:.3f} to {high:.3f})")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    figure(rows).savefig(arguments.out / "costs.png", dpi=110)


if __name__ == "__main__":
    main()
