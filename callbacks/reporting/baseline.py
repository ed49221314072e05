"""Say what accuracy the most common answer would have, beside every accuracy that is reported."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

from datamodules.memory.baseline import Baseline, accuracy_of_one_answer

STAGES = {TrainerFn.FITTING: "val", TrainerFn.VALIDATING: "val", TrainerFn.TESTING: "test"}


class AccuracyBaseline(Callback):
    """Print the accuracy of always giving the most common answer, before training and with the results of a test."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print that of the validation set."""
        self._say(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print it with the results of `descent validate`."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._say(trainer, pl_module)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print that of the test set."""
        self._say(trainer, pl_module)

    def _say(self, trainer: Trainer, module: LightningModule) -> None:
        stage = None if trainer.state.fn is None else STAGES.get(trainer.state.fn)
        found = baseline(trainer, stage) if stage else None
        names: set[str] = getattr(module, "metric_names", set)()
        if found is not None and "accuracy" in names:
            rank_zero_info(f"{stage}/accuracy: {found} ({found.samples:,} samples).")


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
