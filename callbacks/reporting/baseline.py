"""Say what accuracy the most common answer would have, beside every accuracy that is reported."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info

from datamodules.memory.baseline import Baseline, accuracy_of_one_answer


class AccuracyBaseline(Callback):
    """Print the accuracy of always giving the most common answer, before training; `ResultsTable` has it for a test."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print that of the validation set."""
        found = baseline(trainer, "val")
        names: set[str] = getattr(pl_module, "metric_names", set)()
        if found is not None and "accuracy" in names:
            rank_zero_info(f"val/accuracy: {found} ({found.samples:,} samples).")


def baseline(trainer: Any, stage: str) -> Baseline | None:
    """Return the accuracy of the most common answer.

    Args:
        trainer: With its data module.
        stage: `val` or `test`.

    Returns:
        `None` for data that is not of our data modules, and for numbers.
    """
    data = getattr(trainer, "datamodule", None)
    dataset = getattr(data, f"{stage}_set", None)
    images = getattr(dataset, "images", None)
    if data is None or dataset is None or images is None:
        return None
    return accuracy_of_one_answer(images.targets[dataset.rows], data.class_names)
