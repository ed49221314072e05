"""Distance of a range test's suggestions from the best learning rate on CIFAR-10: ours and Lightning's.

    python -m benchmarks.lr_finder IMAGES [--optimizers SGD AdamW] [--seeds 5] [--grid-seeds 3] [--out FOLDER]
    python -m benchmarks.lr_finder IMAGES --optimizers Lion --seeds 3 --grid-seeds 1 [--out FOLDER]

IMAGES is a folder with train/<class>/ and test/<class>/ (CIFAR-10 as images, 32 × 32). SmallCNN with the arguments of
its preset, batch 100, bf16-mixed. For each optimizer and seed the suggestions of `find_lr` (3 repeats of 140 steps) and
of Lightning's `Tuner.lr_find` (140 steps) over the same range are recorded. Then the network is trained for 300 steps
at each rate of a grid with three rates per decade; the rate is constant, and each image is seen at most once. The
validation loss and the mean loss of the last fifth of the steps are recorded. The seed of a grid, the same at all its
rates, determines weights and order.

Measurements that are in FOLDER/results.csv already are not repeated, so the command can be stopped and started again.
`python -m benchmarks.lr_finder.table` makes the table and the figure. No times are measured, so the machine need not be
idle.
"""

import csv
import logging
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.tuner.tuning import Tuner
from timm.optim import Lion  # type: ignore[attr-defined]
from torch.optim import SGD, AdamW

from benchmarks.common.command_line import RESULTS, machine_line, parser
from callbacks.learning_rate.finder import find_lr
from callbacks.learning_rate.search import LRSearch
from datamodules import ImageFolderDataModule
from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN

OPTIMIZERS: dict[str, Any] = {"SGD": partial(SGD, momentum=0.9), "AdamW": AdamW, "Lion": Lion}
GRIDS = {
    "SGD": [round(10 ** (third / 3), 5) for third in range(-8, 1)],
    "AdamW": [round(10 ** (third / 3), 5) for third in range(-11, -2)],
    "Lion": [round(10 ** (third / 3), 6) for third in range(-14, -5)],
}
SUGGESTIONS = ("nine_tenths", "minimum_tenth", "steepest", "valley")
LOW, HIGH = 1e-6, 10.0
STEPS, REPEATS, BATCH, TRAINING = 140, 3, 100, 300
PRECISION: Any = "bf16-mixed"
MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


class WithRate(ImageClassifier):
    """A classifier with the attribute `lr`, which Lightning's finder needs."""

    def __init__(self, lr: float, optimizer: Any) -> None:
        super().__init__(SmallCNN(width=32), lambda parameters: optimizer(parameters, lr=self.lr))
        self.lr = lr


class LastLosses(Callback):
    """Record the training losses from step `start` on."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.losses: list[float] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the loss."""
        if batch_idx >= self.start:
            self.losses.append(float(outputs["loss"]))


class Results:
    """Append rows `{optimizer, seed, what, value}` to a CSV.

    Args:
        path: Path of the CSV.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text("optimizer,seed,what,value\n")
        with path.open() as file:
            self.done = {(row["optimizer"], int(row["seed"]), row["what"]) for row in csv.DictReader(file)}

    def add(self, optimizer: str, seed: int, what: str, value: float) -> None:
        """Append a row."""
        self.done.add((optimizer, seed, what))
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([optimizer, seed, what, f"{value:.6g}"])
        print(optimizer, seed, what, f"{value:.4g}", flush=True)


def quiet_trainer(*callbacks: Callback, **flags: Any) -> Trainer:
    """Make a trainer that logs, saves and prints nothing."""
    return Trainer(
        accelerator="cpu",
        precision=PRECISION,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
        **flags,
    )


def fresh(name: str, seed: int, rate: float = 1e-3) -> LightningModule:
    """Make a module with the weights of a seed."""
    seed_everything(seed, verbose=False)
    return WithRate(rate, OPTIMIZERS[name])


def add_our_suggestions(results: Results, name: str, seed: int, data: Any) -> None:
    """Record the suggestions of `find_lr` and its curve; NaN if it gives an error."""
    try:
        search: LRSearch | None = find_lr(
            fresh(name, seed), data, steps=STEPS, repeats=REPEATS, seed=seed, accelerator="cpu", precision=PRECISION,
            low=LOW, high=HIGH, method="nine_tenths",
        )  # fmt: skip
    except UserError as error:
        print(name, seed, "error:", error)
        search = None
    if search is not None:
        with (results.path.parent / "curves.csv").open("a", newline="") as file:
            for rate, loss in zip(search.rates[: len(search.curve)], search.curve, strict=True):
                csv.writer(file, lineterminator="\n").writerow([name, seed, f"{rate:.6g}", f"{loss:.6g}"])
    for method in SUGGESTIONS:
        results.add(name, seed, method, getattr(search.suggestions, method) if search else float("nan"))


def lightning_suggestion(name: str, seed: int, data: Any) -> float:
    """Return the suggestion of `Tuner.lr_find`; NaN if it has none."""
    module, trainer = fresh(name, seed), quiet_trainer(max_epochs=100)
    found = Tuner(trainer).lr_find(module, data, min_lr=LOW, max_lr=HIGH, num_training=STEPS, update_attr=False)
    return float((found.suggestion() if found else None) or float("nan"))


def add_training(results: Results, name: str, seed: int, rate: float, data: Any) -> None:
    """Record the losses of a short training with a constant rate; infinite if it diverged."""
    last = LastLosses(TRAINING * 4 // 5)
    trainer = quiet_trainer(last, max_epochs=1, limit_train_batches=TRAINING)
    trainer.fit(fresh(name, seed, rate), data)
    for what, loss in (
        ("validation", float(trainer.callback_metrics["val/loss"])),
        ("last fifth", sum(last.losses) / len(last.losses)),
    ):
        results.add(name, seed, f"{what} loss at {rate:g}", loss if loss == loss else float("inf"))


def measure(results: Results, images: Path, names: list[str], seeds: int, grid_seeds: int) -> None:
    """Measure what is not recorded yet: suggestions first, then the grids."""

    def data(seed: int) -> Any:
        return ImageFolderDataModule(str(images), batch_size=BATCH, seed=seed, image_size=32, mean=MEAN, std=STD)

    def missing(name: str, seed: int, what: str) -> bool:
        return (name, seed, what) not in results.done

    for seed in range(seeds):
        for name in names:
            if missing(name, seed, SUGGESTIONS[-1]):
                add_our_suggestions(results, name, seed, data(seed))
            if missing(name, seed, "Lightning"):
                results.add(name, seed, "Lightning", lightning_suggestion(name, seed, data(seed)))
    for seed in range(grid_seeds):
        for name in names:
            for rate in GRIDS[name]:
                if missing(name, seed, f"last fifth loss at {rate:g}"):
                    add_training(results, name, seed, rate, data(seed))


def main() -> None:
    """Measure and append to the CSV."""
    options = parser(__doc__, out=RESULTS / "lr_finder")
    options.add_argument("images", type=Path)
    options.add_argument("--optimizers", nargs="+", default=["SGD", "AdamW"], choices=OPTIMIZERS)
    options.add_argument("--seeds", type=int, default=5, help="seeds of the suggestions")
    options.add_argument("--grid-seeds", type=int, default=3, help="seeds of the grids")
    arguments = options.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print(machine_line(), "threads", torch.get_num_threads())
    results = Results(arguments.out / "results.csv")
    measure(results, arguments.images, arguments.optimizers, arguments.seeds, arguments.grid_seeds)


if __name__ == "__main__":
    main()
