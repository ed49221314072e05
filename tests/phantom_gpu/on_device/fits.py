"""Short fits of everything that a config can choose, for the tests of this folder."""

from __future__ import annotations

import csv
import io
import itertools
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from callbacks.reporting.learning_curves import LearningCurves
from cli import main
from tests.phantom_gpu.build import ROOT

CONFIGS = ROOT / "configs"
STEPS, LOGGED = 8, 4  # steps in an epoch, and every how many of them are logged
SHORT = ["--trainer.max_epochs=1", f"--trainer.limit_train_batches={STEPS}", f"--trainer.log_every_n_steps={LOGGED}"]
SHORT += ["--trainer.limit_val_batches=3", "--data.batch_size=16", "--data.eval_batch_size=16"]
QUICK = ["-c", f"{CONFIGS}/quickstart.yaml"]
TASKS = (
    "quickstart",
    "binary",
    "multilabel",
    "regression",
    "linear_regression",
    "segmentation",
    "segmentation_binary",
    "gan",
)


SMALL = {
    "segmentation": ["--model.network.width=8", "--model.network.depth=1", "--data.pictures=300", "--data.size=16"],
    "multilabel": ["--model.network.width=8", "--data.pictures=300", "--data.size=16"],
    "gan": ["--model.generator.width=8", "--model.discriminator.width=8"],
}
"""Smaller networks and images, for the tests' time."""
SMALL["segmentation_binary"] = SMALL["segmentation"]


def task(name: str, *words: str) -> list[str]:
    """Return the words of a config, with a small network."""
    return ["-c", f"{CONFIGS}/{name}.yaml", *SMALL.get(name, []), *words]


def presets(kind: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / kind).glob("*.yaml"))


def of_losses() -> dict[str, list[str]]:
    """Return a fit for every preset of a loss, each with a task that takes it."""
    classes = ("cross_entropy", "cross_entropy_smooth", "cross_entropy_weighted", "focal")
    fits = {name: task("quickstart", f"--model.loss=losses/{name}.yaml") for name in classes}
    for name in ("bce_logits", "focal_sigmoid", "bce"):
        fits[name] = task("multilabel", f"--model.loss=losses/{name}.yaml")
    for name in ("dice", "jaccard", "tversky"):
        fits[name] = task("segmentation", f"--model.loss=losses/{name}.yaml")
    fits["dice_binary"] = task("segmentation_binary", "--model.loss=losses/dice_binary.yaml")
    for name in ("mae", "mse", "huber", "rmse", "smooth_l1"):
        fits[name] = task("regression", f"--model.loss=losses/{name}.yaml")
    fits["msle"] = task("regression", "--model.loss=losses/msle.yaml", "--model.standardize=false")
    for name in ("adversarial_hinge", "adversarial_least_squares", "adversarial_non_saturating"):
        fits[name] = task("gan", f"--model.loss=losses/{name}.yaml")
    return fits


def of_callbacks() -> dict[str, list[str]]:
    """Return a fit for every preset of a callback, most with an augmentation; together with all augmentations."""
    fits = {name: task("quickstart", f"--trainer.callbacks+=callbacks/{name}.yaml") for name in presets("callbacks")}
    fits["diagnostics"] += [f"--trainer.callbacks.every_n_steps={LOGGED}"]
    fits["lr_finder"] += ["--trainer.callbacks.steps=20", "--trainer.callbacks.repeats=1"]
    fits["lr_finder"] += ["--trainer.callbacks.low=1e-4"]
    fits["class_weights"] += ["--model.loss=losses/cross_entropy_weighted.yaml"]
    fits["swa"] += ["--model.scheduler=schedulers/constant.yaml"]
    takers = iter(
        ("black_box", "diagnostics", "ema", "gradient_norm", "rank_guard", "scaled_rate", "freeze", "early_stopping")
    )
    augmentations = [f"augmentations/{name}.yaml" for name in presets("augmentations")] + ["datamodules.CropFlip"]
    for augmentation in augmentations:
        name = next(takers)
        words = [
            *fits.pop(name),
            "--model.network.width=8",
            "--data=data/digits_32.yaml",
            f"--data.augmentation={augmentation}",
        ]
        fits[f"{name}, {augmentation.split('/')[-1].removesuffix('.yaml')}"] = words
    return fits


def of_optimizers() -> dict[str, list[str]]:
    """Return the words for every preset of an optimizer."""
    return {name: [f"--model.optimizer=optimizers/{name}.yaml"] for name in presets("optimizers")}


def of_parts() -> dict[str, list[str]]:
    """Return fits that together have every preset of a loss, of an optimizer and of a schedule, each at least once."""
    losses, optimizers = of_losses(), of_optimizers()
    names = [name for name in presets("schedulers") if name not in ("constant", "cosine", "cyclic")]
    schedules = itertools.cycle([*names, "cosine", "cyclic"])  # cyclic with an optimizer that has momentum
    fits = {f"loss {name}": losses.pop(name) for name in list(losses) if "adversarial" in name}
    for number, name in enumerate(losses):
        optimizer = list(optimizers)[number % len(optimizers)]
        schedule = "constant" if "schedule_free" in optimizer else next(schedules)
        words = [*losses[name], *optimizers[optimizer], f"--model.scheduler=schedulers/{schedule}.yaml"]
        fits[f"{name}, {optimizer}, {schedule}"] = words
    return fits


def of_others() -> dict[str, list[str]]:
    """Return fits of what a trainer can choose."""
    precisions = ("16-mixed", "bf16-mixed", "bf16-true")
    fits = {precision: task("quickstart", f"--trainer.precision={precision}") for precision in precisions}
    scaled = fits.pop("16-mixed")
    fits["16-mixed gan"] = task("gan", "--trainer.precision=16-mixed", "--data.batch_size=2")
    fits["16-mixed black box"] = [*scaled, "--trainer.callbacks+=callbacks/black_box.yaml"]
    fits["16-mixed gradient norm, clipped by value"] = [
        *scaled,
        "--trainer.callbacks+=callbacks/gradient_norm.yaml",
        "--trainer.gradient_clip_algorithm=value",
    ]
    fits["accumulation, layer decay"] = task(
        "quickstart",
        "--trainer.accumulate_grad_batches=3",
        "--model.parameter_groups=parameter_groups/layer_decay.yaml",
    )
    fits["normalised_muon"] = task("quickstart", "--model.optimizer=lightning_modules.optimizers.NormalisedMuon")
    fits["workers"] = task("quickstart", "--data.num_workers=1")
    fits["deterministic"] = task("segmentation", "--trainer.deterministic=true")
    fits["ema schedule-free"] = task(
        "quickstart",
        *of_optimizers()["schedule_free_adamw"],
        "--model.scheduler=schedulers/constant.yaml",
        "--trainer.callbacks+=callbacks/ema.yaml",
    )
    return fits


FITS: dict[str, list[str]] = {
    **{f"task {name}": task(name) for name in TASKS},
    **of_parts(),
    **{f"callback {name}": words for name, words in of_callbacks().items()},
    **of_others(),
}


def fit(words: list[str], accelerator: str = "gpu", *more: str, status: int = 0) -> Any:
    """Run a fit in the working folder; return its `LightningCLI` object. What it prints comes with an error."""
    own = [f"--trainer.accelerator={accelerator}", "--trainer.devices=1", "--trainer.enable_progress_bar=false"]
    return quietly("fit", *words[:2], *SHORT, *own, *words[2:], *more, status=status)


def quietly(*words: str, status: int = 0) -> Any:
    """Run a command that ends with this status; what it prints comes only with an error."""
    said, result, code = io.StringIO(), None, 0
    try:
        with (
            redirect_stdout(said),
            redirect_stderr(said),
            patch.object(LearningCurves, "on_fit_end"),  # drawing takes a third of a fit's time
        ):
            result = main(list(words))
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == status, said.getvalue()[-3000:]
    return result


def rows(run: Path) -> list[dict[str, float]]:
    """Return the metrics that a run logged, without what follows from the clock or the machine."""
    clock = ("time", "seconds", "per_second", "memory")
    with (run / "metrics.csv").open() as file:
        return [
            {key: float(text) for key, text in row.items() if text and not any(word in key for word in clock)}
            for row in csv.DictReader(file)
        ]
