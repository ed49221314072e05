"""Speed-up by each part of `configs/speedrun.yaml`: the same training with one part taken away, in turns.

    python -m benchmarks.speedrun.levers --data FOLDER [--rounds 3] [--out FOLDER]

Each contestant is a `descent fit` of 10 steps in a process of its own; the first 3 steps, during which the heap still
grows, are not counted. Wall time per image, median over the steps; a ratio is the geometric mean over the rounds with
its 95 % interval. The images have 32 × 32 pixels except in the row `images of 25 pixels`.
"""

import json
import statistics
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from lightning.pytorch import Callback

from benchmarks.common.command_line import RESULTS, machine_line, parser, write_csv
from benchmarks.common.paired import in_turns, paired_ratio
from benchmarks.common.processes import environment_with_allocator, run_python

STEPS, WARM_UP = 10, 3
ALL, SYSTEM = "all parts, 32 pixels", "the system's allocator"
LEVERS: dict[str, list[str]] = {
    ALL: [],
    "images of 25 pixels": ["--trainer.callbacks.pixels", "25"],
    SYSTEM: [],
    "the stem is trained": ["--trainer.callbacks.train_stem", "true"],
    "narrow rows in the weight gradient": ["--trainer.callbacks.amx", "false"],
    "float32": ["--trainer.precision", "32-true"],
    "channels first": ["--model.channels_last", "false", "--data.channels_last", "false"],
}


class Row(NamedTuple):
    """Time per image without one part, as a multiple of the time with all parts."""

    without: str
    ratio: float
    low: float
    high: float
    rounds: int
    images_per_second: float


class Clock(Callback):
    """Print the seconds of each step as JSON; set the image size, the convolution and the trained layers as given."""

    def __init__(self, pixels: int = 32, amx: bool = True, train_stem: bool = False) -> None:
        self.pixels, self.amx, self.train_stem = pixels, amx, train_stem
        self.seconds: list[float] = []

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Apply the settings before the loader is made."""
        from datamodules import Chain, CropFlip, ProgressiveResize
        from lightning_modules.networks import amx_convolution

        if not self.amx:
            amx_convolution.MAX_WIDTH = 0
        pl_module.network.stem.requires_grad_(self.train_stem)
        crop = CropFlip(padding=2, flip="alternating")
        small = Chain([crop, ProgressiveResize([self.pixels], [1.0])])
        trainer.datamodule.augmentation = small if self.pixels < 32 else crop

    def on_train_batch_start(self, *_: Any) -> None:
        """Start the clock of a step."""
        self.seconds.append(-time.perf_counter())

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop the clock of a step."""
        self.seconds[-1] += time.perf_counter()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Print the seconds."""
        print("\n" + json.dumps({"seconds": self.seconds, "batch": trainer.datamodule.batch_size}))


def seconds_per_image(data: Path, lever: str) -> float:
    """Measure the seconds per image of a training without one part."""
    words = ["fit", "-c", "configs/speedrun.yaml", "--data", "datamodules.ImageFolderDataModule"]
    words += ["--data.root", str(data.resolve()), "--trainer.limit_train_batches", str(STEPS), "--trainer.max_epochs=1"]
    words += ["--trainer.limit_val_batches", "0", "--trainer.callbacks", "benchmarks.speedrun.levers.Clock"]
    variables = environment_with_allocator("system" if lever == SYSTEM else "tuned")
    with TemporaryDirectory() as folder:
        printed = run_python(["-m", "cli", *words, *LEVERS[lever]], folder, variables)
    found = next(json.loads(line) for line in printed.splitlines() if line.startswith('{"seconds"'))
    return float(statistics.median(found["seconds"][WARM_UP:])) / float(found["batch"])


def measure(data: Path, rounds: int) -> list[Row]:
    """Measure the trainings in turns."""

    def timed(lever: str) -> float:
        seconds = seconds_per_image(data, lever)
        print(f"{lever}: {1 / seconds:,.0f} images per second", flush=True)
        return seconds

    times = in_turns({lever: partial(timed, lever) for lever in LEVERS}, rounds)
    return [
        Row(lever, *paired_ratio(values, times[ALL]), 1 / statistics.median(values))  # type: ignore[call-arg]
        for lever, values in times.items()
    ]


def main() -> None:
    """Measure, print, write."""
    options = parser(__doc__, rounds=3, out=RESULTS / "speedrun")
    options.add_argument("--data", type=Path, required=True, help="folder of the images")
    arguments = options.parse_args()
    rows = measure(arguments.data, arguments.rounds)
    print(machine_line())
    for row in rows:
        print(f"{row.without:36} × {row.ratio:.3f} ({row.low:.3f} to {row.high:.3f})  {row.images_per_second:,.0f} /s")
    write_csv(rows, arguments.out / "levers.csv")


if __name__ == "__main__":
    main()
