"""Accuracy on folders of few images: `configs/pictures.yaml` against a plain torch loop of usual defaults.

    python -m benchmarks.small_folders IMAGES [--counts 10 30 100 300 1000] [--classes 2 6 20] [--seeds 1]

IMAGES holds train/<class> and test/<class>, such as the ten classes of CIFAR-10; an eleventh to twentieth class has the
images of the first to tenth upside down. For each number of classes and of images a class, both train the same small
residual network from random weights on the same images, the first of each class, at 32 × 32 pixels; both are tested on
the same images, up to 100 of each class. The loop is written down independently: AdamW with a one-cycle rate of 1e-3 at
most, batches of 64 (or all images, if there are fewer), 20 epochs, random flips and shifts, batch norm with running
statistics. Both use one thread of the CPU; the seconds are CPU time. Rows that are in the CSV already are not measured.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common.command_line import RESULTS, parser, read_csv, write_csv
from benchmarks.common.image_subset import copy_subset
from cli import main as descent
from foundation.figure_style import COLORS, MUTED, grid, legend
from lightning_modules.networks import ResNet8

WIDTHS = [32, 64, 128]
TESTED = 100
CONTESTANTS = {"ours": "Descent", "plain": "plain loop"}


class Row(NamedTuple):
    """Accuracy of both on one folder."""

    classes: int
    images_per_class: int
    seed: int
    chance: float
    ours: float
    plain: float
    our_seconds: float
    plain_seconds: float


def read(files: list[list[Path]]) -> tuple[Tensor, Tensor]:
    """Return the images of each class, normalised, and their classes."""
    pixels = [np.asarray(Image.open(file).convert("RGB").resize((32, 32))) for group in files for file in group]
    images = torch.tensor(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    classes = torch.tensor([number for number, group in enumerate(files) for _ in group])
    return (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), keepdim=True), classes


def plain_loop(train: list[list[Path]], test: list[list[Path]], seed: int) -> float:
    """Return the test accuracy of the loop."""
    torch.manual_seed(seed)
    images, classes = read(train)
    network = ResNet8(num_classes=len(train), in_channels=3, widths=WIDTHS)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    size = min(64, len(images))
    steps = 20 * (len(images) // size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    for _ in range(20):
        for rows in torch.randperm(len(images)).split(size):  # type: ignore[no-untyped-call]
            if len(rows) < size:
                continue
            flipped = torch.where(torch.rand(size, 1, 1, 1) < 0.5, images[rows].flip(3), images[rows])
            down, across = torch.randint(0, 9, (2,)).tolist()
            batch = F.pad(flipped, (4, 4, 4, 4), mode="reflect")[:, :, down : down + 32, across : across + 32]
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(batch), classes[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    network.eval()
    held_out, truth = read(test)
    with torch.no_grad():
        return float((network(held_out).argmax(1) == truth).float().mean())


def ours(root: Path, seed: int) -> float:
    """Return the test accuracy of the config."""
    words = [f"--data.root={root}", "--data.image_size=32", f"--model.network.widths={WIDTHS}"]
    words += ["--trainer.accelerator=cpu", "--trainer.precision=32", f"--seed_everything={seed}"]
    descent(["fit", "-c", "configs/pictures.yaml", *words])
    trainer = descent(["test", "--ckpt_path", "runs/pictures"]).trainer
    return float(trainer.callback_metrics["test/accuracy"])


def measured(images: Path, classes: int, count: int, seed: int) -> Row:
    """Train both on one folder."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        root = Path(folder, "images")
        copy_subset(images, root, {"train": count, "test": TESTED}, classes, turned=classes > 10)
        train, test = (
            [sorted(kind.iterdir()) for kind in sorted((root / split).iterdir())] for split in ("train", "test")
        )
        start = time.process_time()
        accuracy = ours(root, seed)
        middle = time.process_time()
        plain = plain_loop(train, test, seed)
        return Row(classes, count, seed, 1 / classes, accuracy, plain, middle - start, time.process_time() - middle)


def draw(rows: Sequence[Row], file: Path) -> None:
    """Draw the accuracies against the images of a class, for each number of classes; bars are the range over seeds."""
    numbers = sorted({row.classes for row in rows})
    figure, drawn = grid(len(numbers), columns=3, size=(3, 2.8))
    for axes, classes in zip(drawn, numbers, strict=True):
        counts = sorted({row.images_per_class for row in rows if row.classes == classes})
        for name, label, color, marker in (
            ("ours", "Descent", COLORS[0], "o"),
            ("plain", "plain loop", COLORS[1], "s"),
        ):
            found = [
                [100 * getattr(row, name) for row in rows if (row.classes, row.images_per_class) == (classes, count)]
                for count in counts
            ]
            means = [sum(each) / len(each) for each in found]
            ranges = [[m - min(e) for m, e in zip(means, found, strict=True)]]
            ranges += [[max(e) - m for m, e in zip(means, found, strict=True)]]
            axes.errorbar(counts, means, ranges, c=color, marker=marker, capsize=3, label=label)
        axes.axhline(100 / classes, c=MUTED, ls="--", label="chance")
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_xlabel("training images of a class")
        axes.set_title(f"{classes} classes, test accuracy in %", fontsize=9)
    legend(figure.axes[0])
    figure.savefig(file, dpi=130)


def main(args: Sequence[str] | None = None) -> None:
    """Measure what the CSV lacks, and write each row as soon as it is there."""
    options = parser(__doc__, out=RESULTS / "small_folders")
    options.add_argument("images", type=Path)
    options.add_argument("--counts", type=int, nargs="+", default=[10, 30, 100, 300, 1000])
    options.add_argument("--classes", type=int, nargs="+", default=[2, 6, 20])
    options.add_argument("--seeds", type=int, default=1)
    given = options.parse_args(args)
    torch.set_num_threads(1)
    images, file = given.images.absolute(), given.out.absolute() / "accuracy.csv"
    rows = read_csv(Row, file)
    wanted = [(n, count, seed) for count in given.counts for n in given.classes for seed in range(given.seeds)]
    for each in wanted:
        if each not in {row[:3] for row in rows}:
            rows.append(measured(images, *each))
            write_csv(rows, file)
            print(rows[-1], file=sys.stderr, flush=True)
    draw(rows, file.with_suffix(".png"))


if __name__ == "__main__":
    main()
