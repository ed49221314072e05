"""Race variants of `configs/speedrun.yaml` against it, in turns: seconds, accuracy, and their paired differences.

    python -m benchmarks.speedrun.variants --data FOLDER --held_out --rounds 5

With `--held_out` a fifth of the training images, the same in every run, stands in for the test images. Choose a variant
in this way, and measure it without `--held_out` once. Rounds that are in the CSV already are not repeated.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.common.command_line import RESULTS, machine_line, parser
from benchmarks.common.paired import mean_difference, paired_ratio
from benchmarks.speedrun import __main__ as speedrun
from benchmarks.speedrun.__main__ import Row


def at_25_pixels_until(share: float) -> str:
    """Return the option for the augmentation of the config with 25 pixels for this share of the run."""
    crop = {"padding": 2, "mode": "reflect", "flip": "alternating"}
    steps = [
        {"class_path": "datamodules.CropFlip", "init_args": crop},
        {"class_path": "datamodules.ProgressiveResize", "init_args": {"sizes": [25], "until": [share]}},
    ]
    return f"--data.augmentation={json.dumps({'class_path': 'datamodules.Chain', 'init_args': {'steps': steps}})}"


SHIPPED = "as it ships, 9 epochs"
BATCH_980 = [
    *("--data.batch_size=980", "--model.loss.label_smoothing=0.1", at_25_pixels_until(0.375)),
    *("--model.optimizer.lr=0.17", "--model.optimizer.momentum=0.775", "--model.optimizer.bias_lr=53"),
    *("--model.optimizer.head_lr=670", "--model.optimizer.weight_decay=0.002"),
]
VARIANTS: dict[str, list[str]] = {
    SHIPPED: [],
    "7 epochs": ["--trainer.max_epochs=7"],
    "10 epochs, 30 % pruned": ["--trainer.max_epochs=10", "--data.pruning=pruning/low_loss.yaml"],
    "8 epochs, batch size 980": ["--trainer.max_epochs=8", *BATCH_980],
    "9 epochs, batch size 980": BATCH_980,
    "9 epochs, batch size 980, half at 25 pixels": [*BATCH_980, at_25_pixels_until(0.5)],
}


@contextmanager
def held_out(images: Path, every: int = 5) -> Iterator[Path]:
    """Yield a folder of links in which every fifth training image of a class is a test image, for the block."""
    with TemporaryDirectory() as folder:
        for kind in sorted((images / "train").iterdir()):
            for number, file in enumerate(sorted(kind.iterdir())):
                link = Path(folder, "train" if number % every else "test", kind.name, file.name)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.resolve())
        yield Path(folder)


def measure(data: Path, rounds: int, file: Path, variants: Sequence[str]) -> list[Row]:
    """Run what is not in the file yet, seed by seed, every second seed in reverse order."""

    def run(name: str, seed: int) -> Row:
        return speedrun.ours(data, seed, VARIANTS[name])._replace(who=name)

    runs = ((name, seed) for seed in range(rounds) for name in (variants if seed % 2 == 0 else variants[::-1]))
    return speedrun.measure(runs, run, file)


def summary(rows: Sequence[Row]) -> str:
    """Describe each variant: mean seconds and accuracy, and how they compare with what ships, paired by seed."""
    shipped, lines = {row.seed: row for row in rows if row.who == SHIPPED}, []
    for name in dict.fromkeys(row.who for row in rows):
        own = [row for row in rows if row.who == name]
        seconds, accuracy = (np.mean([getattr(row, field) for row in own]) for field in ("train_s", "accuracy"))
        line = f"{name:43} {seconds:6.0f} s  {accuracy:.2%}  ({len(own)} seeds)"
        pairs = [(row, shipped[row.seed]) for row in own if row.seed in shipped]
        if name != SHIPPED and len(pairs) >= 2:
            ratio = paired_ratio([row.train_s for row, _ in pairs], [other.train_s for _, other in pairs])
            line += f"  seconds × {ratio}"
            line += f"  accuracy {mean_difference([row.accuracy - other.accuracy for row, other in pairs])}"
        lines.append(line)
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """Measure, write, print."""
    options = parser(__doc__, rounds=5, out=RESULTS / "speedrun")
    options.add_argument("--data", type=Path, required=True, help="folder of the images")
    options.add_argument("--held_out", action="store_true", help="accuracy on held-out training images")
    options.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    given = options.parse_args(args)
    if given.held_out:
        with held_out(given.data) as folder:
            rows = measure(folder, given.rounds, given.out / "variants_held_out.csv", given.variants)
    else:
        rows = measure(given.data, given.rounds, given.out / "variants.csv", given.variants)
    print(machine_line())
    print(summary(rows))


if __name__ == "__main__":
    main()
