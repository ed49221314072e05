"""What each part of `configs/speedrun.yaml` brings: the same training with one part taken away, in turns.

    python -m benchmarks.speedrun_levers --data FOLDER [--rounds 3] [--out FOLDER]

Each contestant is a `descent fit` of 10 steps in a process of its own; the first 3 are not counted, since the heap
still grows. Wall time for each image, median over the steps; a ratio is the geometric mean over the rounds with its
95 % interval.
The images have 32 pixels everywhere but in the row that says otherwise.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from lightning.pytorch import Callback

from benchmarks.paired import keep, machine_line, paired_ratio
from descent.allocator import FOR_CHILDREN, SWITCH

ROOT = Path(__file__).parents[1]
STEPS, WARM_UP = 10, 3
ALL = "all parts, 32 pixels"
LEVERS: dict[str, list[str]] = {
    ALL: [],
    "images of 25 pixels": ["--trainer.callbacks.pixels", "25"],
    "the system's allocator": [],
    "the stem is trained": ["--trainer.callbacks.train_stem", "true"],
    "narrow rows in the weight gradient": ["--trainer.callbacks.amx", "false"],
    "float32": ["--trainer.precision", "32-true"],
    "channels first": ["--model.channels_last", "false", "--data.channels_last", "false"],
}
SYSTEM = "the system's allocator"


class Row(NamedTuple):
    """How many times as long an image takes as with all parts."""

    without: str
    ratio: float
    low: float
    high: float
    rounds: int
    images_per_second: float


class Clock(Callback):
    """Prints the seconds of each step, as JSON; changes sizes, rows, and what is trained, where it is told to."""

    def __init__(self, pixels: int = 32, amx: bool = True, train_stem: bool = False) -> None:
        self.pixels, self.amx, self.train_stem = pixels, amx, train_stem
        self.seconds: list[float] = []

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Prepare, before there is a loader."""
        from datamodules import Chain, CropFlip, ProgressiveResize
        from lightning_modules.networks import amx_convolution

        if not self.amx:
            amx_convolution.MAX_WIDTH = 0
        pl_module.network.stem.requires_grad_(self.train_stem)
        crop = CropFlip(padding=2, flip="alternating")
        small = Chain([crop, ProgressiveResize([self.pixels], [1.0])])
        trainer.datamodule.augmentation = small if self.pixels < 32 else crop

    def on_train_batch_start(self, *_: Any) -> None:
        """Start."""
        self.seconds.append(-time.perf_counter())

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop."""
        self.seconds[-1] += time.perf_counter()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Say it."""
        print("\n" + json.dumps({"seconds": self.seconds, "batch": trainer.datamodule.batch_size}))


def pace(data: Path, lever: str) -> float:
    """Seconds an image."""
    words = ["fit", "-c", "configs/speedrun.yaml", "--data", "datamodules.ImageFolderDataModule"]
    words += [
        "--data.root",
        str(data.resolve()),
        "--trainer.limit_train_batches",
        str(STEPS),
        "--trainer.max_epochs",
        "1",
    ]
    words += ["--trainer.limit_val_batches", "0", "--trainer.callbacks", "benchmarks.speedrun_levers.Clock"]
    plain = {name: value for name, value in os.environ.items() if name not in FOR_CHILDREN}
    own = {"PYTHONPATH": str(ROOT), SWITCH: "system" if lever == SYSTEM else "tuned"}
    with TemporaryDirectory() as folder:
        ended = subprocess.run(
            [sys.executable, "-m", "cli", *words, *LEVERS[lever]],
            cwd=folder, env=plain | own, check=True, capture_output=True, text=True,
        )  # fmt: skip
    found = next(json.loads(line) for line in ended.stdout.splitlines() if line.startswith('{"seconds"'))
    return float(statistics.median(found["seconds"][WARM_UP:])) / float(found["batch"])


def measure(data: Path, rounds: int) -> list[Row]:
    """Let them take turns."""
    times: dict[str, list[float]] = {lever: [] for lever in LEVERS}
    for number in range(rounds):
        for lever in LEVERS if number % 2 == 0 else reversed(LEVERS):
            times[lever].append(pace(data, lever))
            print(f"{lever}: {1 / times[lever][-1]:,.0f} images a second", flush=True)
    return [
        Row(lever, *paired_ratio(values, times[ALL]), 1 / statistics.median(values))  # type: ignore[call-arg]
        for lever, values in times.items()
    ]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/speedrun"))
    arguments = parser.parse_args()
    rows = measure(arguments.data, arguments.rounds)
    print(machine_line())
    for row in rows:
        print(f"{row.without:36} × {row.ratio:.3f} ({row.low:.3f} to {row.high:.3f})  {row.images_per_second:,.0f} /s")
    keep(rows, arguments.out / "levers.csv")


if __name__ == "__main__":
    main()
