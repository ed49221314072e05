"""Say at the end of a fit that the network has not learned, or not what carries over, and what would mend it."""

import math
from dataclasses import dataclass
from typing import Any

from callbacks.reporting.baseline import baseline
from datamodules import ImageFolderDataModule
from datamodules.memory.baseline import Baseline
from datamodules.memory.steps import STEPS

GAP = 0.15
"""Training accuracy above validation accuracy that is worth a remark."""

ERRORS = 2.0  # standard errors of an accuracy that chance explains


@dataclass(frozen=True)
class Outcome:
    """What a fit has measured.

    Args:
        train: Accuracy of the last epoch's training batches; `None` if it is unknown.
        val: Validation accuracy, of the best checkpoint if that is chosen by it.
        chance: The accuracy of the most common answer in validation.
        steps: Optimizer steps of the run.
        config: The run's config, as one would type it.
        folder: Folder of the images, for which a pretrained network could be fine-tuned; `None` if it could not.
        limits: Options that leave batch size and epochs to Descent.
    """

    train: float | None
    val: float
    chance: Baseline
    steps: int
    config: str
    folder: str | None
    limits: str


def outcome_of(trainer: Any, config: str) -> Outcome | None:
    """Return what a fit has measured; `None` if it has no accuracy, or ends before its first epoch does."""
    values, chance = trainer.callback_metrics, baseline(trainer, "val")
    if chance is None or "val/accuracy" not in values:
        return None
    saver = trainer.checkpoint_callback
    best = getattr(saver, "best_model_score", None)
    chosen = best if best is not None and saver.monitor == "val/accuracy" else values["val/accuracy"]
    train = float(values["train/accuracy"]) if "train/accuracy" in values else None
    return Outcome(train, float(chosen), chance, trainer.global_step, config, fine_tunable(trainer), limits_of(trainer))


def fine_tunable(trainer: Any) -> str | None:
    """Return the folder of the images, if a pretrained network could be fine-tuned on them and was not."""
    data, network = trainer.datamodule, getattr(trainer.lightning_module, "network", None)
    if not isinstance(data, ImageFolderDataModule) or data.channels != 3 or data.labels is not None:
        return None  # of a CSV file the folder alone would not do
    named = getattr(trainer.lightning_module, "starts_from_file", False)
    if named or getattr(network, "pretrained", False):
        return None
    return str(data.root)


def limits_of(trainer: Any) -> str:
    """Return the options that leave to Descent what the config had set so that there were too few steps."""
    options = {
        " --data.batch_size auto": not getattr(trainer.datamodule, "plans_batch_size", True),
        " --trainer.max_epochs null": not trainer.plans_epochs,
        " --trainer.max_steps -1": trainer.max_steps != -1,
        " --trainer.limit_train_batches 1.0": trainer.limit_train_batches != 1.0,
    }
    return "".join(option for option, needed in options.items() if needed)


def findings(found: Outcome) -> list[str]:
    """Return a sentence for each thing that went wrong.

    Example:
        >>> chance = Baseline(0.5, "the most common class (cat)", 100)
        >>> bad = Outcome(0.52, 0.5, chance, 40, "runs/a/0/config.yaml", None, " --trainer.max_epochs null")
        >>> print(findings(bad)[0])
        Validation accuracy 0.5000 is no better than chance: the most common class (cat) would give 0.5000. So is \
training accuracy, 0.5200: 40 optimizer steps are few. Train at least 300: descent fit -c runs/a/0/config.yaml \
--trainer.max_epochs null
    """
    error = math.sqrt(found.chance.accuracy * (1 - found.chance.accuracy) / found.chance.samples)
    limit = found.chance.accuracy + ERRORS * error
    if limit >= 1:
        return [
            f"{found.chance.samples} validation images are too few to tell an accuracy from chance ({found.chance}): "
            "give more images, or a larger data.val_share."
        ]
    if found.val <= limit:
        return [
            f"Validation accuracy {found.val:.4f} is no better than chance: {found.chance}. {why_chance(found, limit)}"
        ]
    own_error = math.sqrt(max(found.val * (1 - found.val), 0.0) / found.chance.samples)
    if found.train is not None and found.train - found.val > max(GAP, ERRORS * own_error):
        return [
            f"Training accuracy {found.train:.4f} is far above validation accuracy {found.val:.4f}: the network fits "
            f"its training images better than new ones. More images help most{or_fine_tune(found)}"
        ]
    return []


def why_chance(found: Outcome, limit: float) -> str:
    """Say the likely cause of a validation at chance, and what to do."""
    if found.train is None:
        return ""
    if found.train > limit + GAP:
        return (
            f"Training accuracy is {found.train:.4f}: what was learned does not carry over. Compare the classes of the "
            f"training and the validation images; if they are right, more images help most{or_fine_tune(found)}"
        )
    if found.steps < STEPS and found.limits:
        return (
            f"So is training accuracy, {found.train:.4f}: {found.steps} optimizer steps are few. Train at least "
            f"{STEPS}: descent fit -c {found.config}{found.limits}"
        )
    return (
        f"So is training accuracy, {found.train:.4f}, after {found.steps} optimizer steps: the learning rate is the "
        f"first thing to check. Find one: descent find-lr -c {found.config}"
    )


def or_fine_tune(found: Outcome) -> str:
    """Return the command that starts from pretrained weights, where it fits the data."""
    if found.folder is None:
        return "."
    return f"; or start from pretrained weights: descent fit -c configs/finetune.yaml --data.root {found.folder}"
