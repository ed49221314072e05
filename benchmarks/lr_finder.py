"""Is the suggested learning rate near the best one? Range test against a grid of rates, beside Lightning's finder.

Usage: python -m benchmarks.lr_finder PICTURES [--seeds 5] [--grid-seeds 2] [--epochs 3] [--width 16] [--size 32]

PICTURES is a folder with train/<class>/ and test/<class>/. For each optimizer and seed: the suggestions of `find_lr`,
the suggestion of Lightning's `Tuner.lr_find`, and the validation loss after a short training with a constant rate at
each point of a grid (half a decade apart). The best rate is that with the lowest mean over the seeds.

results/lr_finder/results.csv: November 2026, 3,000 training pictures of CIFAR-10 at 16 × 16, SmallCNN of width 16,
batch 100, 4 epochs, 3 seeds of the search, 1 seed of the grid, two shared CPU cores, torch 2.14.1. Factor between
suggestion and the grid's best rate (SGD 0.01, AdamW 0.00316), over the seeds: minimum_tenth 1.5 to 2.6,
steepest 1.5 to 3.8, valley 1.1 to 3.8, Lightning's own 5 to 40. minimum_tenth is the default because of this
table. One seed of a grid is not enough to tell rates apart that are a factor of 3 from each other (SGD: loss 1.74 at
0.01, 1.91 at 0.03, 1.80 at 0.1).
"""

import argparse
import csv
import logging
import platform
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.tuner.tuning import Tuner
from torch.optim import SGD, AdamW

from callbacks.lr_finder import find_lr
from datamodules import ImageFolderDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN

OPTIMIZERS: dict[str, Any] = {"SGD, momentum 0.9": partial(SGD, momentum=0.9), "AdamW": AdamW}
GRID = [10 ** (exponent / 2) for exponent in range(-9, 2)]


class WithRate(ImageClassifier):
    """An attribute `lr`, without which Lightning's finder does not work."""

    def __init__(self, lr: float, optimizer: Any, width: int) -> None:
        super().__init__(SmallCNN(width=width), lambda parameters: optimizer(parameters, lr=self.lr))
        self.lr = lr


def quiet_trainer(epochs: int) -> Trainer:
    """A trainer that says nothing."""
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def validation_loss(module: LightningModule, data: Any, epochs: int) -> float:
    """Of a training with a constant rate; infinite where it diverged."""
    trainer = quiet_trainer(epochs)
    trainer.fit(module, data)
    loss = float(trainer.callback_metrics["val/loss"])
    return loss if loss == loss else float("inf")


def lightnings_suggestion(module: LightningModule, data: Any) -> float:
    """What `Tuner.lr_find` says over the same range with as many steps."""
    found = Tuner(quiet_trainer(100)).lr_find(
        module, data, min_lr=1e-6, max_lr=10.0, num_training=140, update_attr=False
    )
    return float((found.suggestion() if found else None) or float("nan"))


def measure(name: str, arguments: argparse.Namespace, data: Any) -> list[dict[str, Any]]:
    """Rows `{optimizer, seed, what, value}` of one optimizer."""
    rows: list[dict[str, Any]] = []

    def note(seed: int, what: str, value: float) -> None:
        rows.append({"optimizer": name, "seed": seed, "what": what, "value": value})
        print(name, seed, what, f"{value:.4g}", flush=True)

    def fresh(seed: int, rate: float) -> LightningModule:
        seed_everything(seed, verbose=False)
        return WithRate(rate, OPTIMIZERS[name], arguments.width)

    for seed in range(arguments.seeds):
        search = find_lr(fresh(seed, 1e-3), data(seed), seed=seed, accelerator="cpu")
        for method in ("steepest", "valley", "minimum_tenth"):
            note(seed, method, getattr(search.suggestions, method))
        search.save(arguments.out / f"{name.split(',')[0].lower()}-{seed}")
        note(seed, "Lightning", lightnings_suggestion(fresh(seed, 1e-3), data(seed)))
    for seed in range(arguments.grid_seeds):
        for rate in GRID:
            note(seed, f"loss at {rate:.3g}", validation_loss(fresh(seed, rate), data(seed), arguments.epochs))
    return rows


def main() -> None:
    """Measure, print, write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures_folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--grid-seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--size", type=int, default=32, help="to which the pictures are scaled")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/lr_finder"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print(platform.platform(), "torch", torch.__version__, "threads", torch.get_num_threads())

    def data(seed: int) -> Any:
        return ImageFolderDataModule(
            str(arguments.pictures_folder), batch_size=100, val_share=0.25, seed=seed, image_size=arguments.size
        )

    rows = [row for name in OPTIMIZERS for row in measure(name, arguments, data)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
