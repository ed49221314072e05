"""Short fits of everything that a config can choose, for the tests of this folder."""

from __future__ import annotations

import csv
import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from cli import main
from tests.phantom_gpu.build import ROOT

CONFIGS = ROOT / "configs"
STEPS, LOGGED = 8, 4  # steps in an epoch, and every how many of them are logged
SHORT = ["--trainer.max_epochs=1", f"--trainer.limit_train_batches={STEPS}", f"--trainer.log_every_n_steps={LOGGED}"]
SHORT += ["--trainer.limit_val_batches=4", "--data.batch_size=16", "--data.eval_batch_size=16"]
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


def task(name: str, *words: str) -> list[str]:
    return ["-c", f"{CONFIGS}/{name}.yaml", *words]


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
    fits = {name: task("quickstart", f"--trainer.callbacks+=callbacks/{name}.yaml") for name in presets("callbacks")}
    fits["lr_finder"] += [
        "--trainer.callbacks.steps=40",
        "--trainer.callbacks.repeats=1",
        "--trainer.callbacks.low=1e-4",
    ]
    fits["class_weights"] += ["--model.loss=losses/cross_entropy_weighted.yaml"]
    return fits


def of_optimizers() -> dict[str, list[str]]:
    fits = {name: task("quickstart", f"--model.optimizer=optimizers/{name}.yaml") for name in presets("optimizers")}
    fits["schedule_free_adamw"] += ["--model.scheduler=schedulers/constant.yaml"]
    fits["normalised_muon"] = task("quickstart", "--model.optimizer=lightning_modules.optimizers.NormalisedMuon")
    return fits


def of_augmentations() -> dict[str, list[str]]:
    fits = {
        name: task("quickstart", "--data=data/digits_32.yaml", f"--data.augmentation=augmentations/{name}.yaml")
        for name in presets("augmentations")
    }
    fits["crop_flip"] = task("quickstart", "--data=data/digits_32.yaml", "--data.augmentation=datamodules.CropFlip")
    return fits


def of_others() -> dict[str, list[str]]:
    """Return fits of what a trainer can choose."""
    fits = {
        precision: task("quickstart", f"--trainer.precision={precision}") for precision in ("16-mixed", "bf16-mixed")
    }
    fits["16-mixed gan"] = task("gan", "--trainer.precision=16-mixed", "--data.batch_size=2")
    fits["16-mixed gradient norm"] = [*fits["16-mixed"], "--trainer.callbacks+=callbacks/gradient_norm.yaml"]
    fits["16-mixed black box"] = [*fits["16-mixed"], "--trainer.callbacks+=callbacks/black_box.yaml"]
    fits["16-mixed fused, clipped by value"] = [*fits["16-mixed"], "--trainer.gradient_clip_algorithm=value"]
    fits["accumulation"] = task("quickstart", "--trainer.accumulate_grad_batches=3")
    fits["workers"] = task("quickstart", "--data.num_workers=1")
    fits["deterministic"] = task("segmentation", "--trainer.deterministic=true")
    fits["layer decay"] = task("quickstart", "--model.parameter_groups=parameter_groups/layer_decay.yaml")
    fits["ema schedule-free"] = [*of_optimizers()["schedule_free_adamw"], "--trainer.callbacks+=callbacks/ema.yaml"]
    return fits


LOSSES = ("cross_entropy", "cross_entropy_smooth", "cross_entropy_weighted", "focal", "bce_logits")
OPTIMIZERS = ("adam", "adamw", "lamb", "lion", "muon")
FITS: dict[str, list[str]] = {
    **{f"task {name}": task(name) for name in TASKS},
    **{f"loss {name}": words for name, words in of_losses().items() if name in LOSSES},
    **{f"optimizer {name}": words for name, words in of_optimizers().items() if name in OPTIMIZERS},
    **{f"augmentation {name}": words for name, words in of_augmentations().items()},
    **{f"callback {name}": words for name, words in of_callbacks().items() if name not in ("lr_finder", "swa")},
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
        with redirect_stdout(said), redirect_stderr(said):
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
