"""Callbacks of Lightning that do not do in a run of Descent what they say, or not together with another one."""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BaseFinetuning,
    BasePredictionWriter,
    Checkpoint,
    LearningRateFinder,
    ModelCheckpoint,
    ModelPruning,
    OnExceptionCheckpoint,
    StochasticWeightAveraging,
    WeightAveraging,
)

from callbacks.checkpointing.checkpoint import DurableCheckpoint
from callbacks.checkpointing.reading import BEST, LAST, PREVIOUS
from callbacks.ema import EMA
from foundation.errors import UserError

ABSTRACT = {
    BaseFinetuning: "freeze_before_training and finetune_function",
    BasePredictionWriter: "write_on_batch_end or write_on_epoch_end",
    Checkpoint: "when to save",
}
"""Callbacks of which only a subclass does something, and the methods that it defines."""


def check_callbacks(callbacks: Sequence[Callback]) -> None:
    """Check callbacks before a Trainer gets them.

    Args:
        callbacks: All callbacks of the run.

    Raises:
        UserError: One of them cannot do what it says; the message names what to use instead.
    """
    for callback in callbacks:
        if type(callback) in ABSTRACT:
            name = type(callback).__name__
            raise UserError(
                f"{name} does nothing by itself: derive a class that defines {ABSTRACT[type(callback)]}, and name that "
                "class in the config."
            )
        if isinstance(callback, StochasticWeightAveraging):
            raise UserError(
                "StochasticWeightAveraging replaces the schedule, and hands over the average only after the last "
                "checkpoint is saved: use callbacks/swa.yaml, whose average is validated and saved."
            )
        if isinstance(callback, OnExceptionCheckpoint):
            raise UserError(
                "OnExceptionCheckpoint lets every fit resume from the last checkpoint that it finds: leave it out, and "
                "save more often with --checkpoint.every_n_train_steps N, so that an error loses N steps at most."
            )
    check_pairs(callbacks)
    check_names(callbacks)


def check_names(callbacks: Sequence[Callback]) -> None:
    """Check that a `ModelCheckpoint` does not write over the files of `DurableCheckpoint`.

    Raises:
        UserError: It would.
    """
    if not any(isinstance(callback, DurableCheckpoint) for callback in callbacks):
        return
    for callback in callbacks:
        if not isinstance(callback, ModelCheckpoint) or isinstance(callback, DurableCheckpoint) or callback.dirpath:
            continue
        names = {callback.filename, callback.CHECKPOINT_NAME_LAST if callback.save_last else None}
        taken = sorted(name for name in names if name in {Path(file).stem for file in (BEST, LAST, PREVIOUS)})
        if taken:
            raise UserError(
                f"ModelCheckpoint would write {taken[0]}.ckpt over that of the run, which is saved anyway: leave out "
                f"{'save_last' if taken[0] == 'last' else 'filename'}, or give ModelCheckpoint a dirpath of its own."
            )


def check_pairs(callbacks: Sequence[Callback]) -> None:
    """Check that no two callbacks change the weights under each other.

    Raises:
        UserError: Two of them do.
    """
    averages = [type(callback).__name__ for callback in callbacks if isinstance(callback, (WeightAveraging, EMA))]
    if len(averages) > 1:
        raise UserError(
            f"{' and '.join(averages)} would both replace the weights during validation and in checkpoints: keep one."
        )
    if averages and any(isinstance(callback, ModelPruning) for callback in callbacks):
        raise UserError(
            f"{averages[0]} averages parameters by name and order, which ModelPruning changes: keep one of the two."
        )


def check_module(callbacks: Sequence[Callback], module: LightningModule, resumed: bool) -> None:
    """Check callbacks against the module of a fit.

    Args:
        callbacks: All callbacks of the run.
        module: The module to be trained.
        resumed: Whether the fit resumes from a checkpoint.

    Raises:
        UserError: A callback needs something that the module lacks.
    """
    name = type(module).__name__
    for callback in callbacks:
        if isinstance(callback, BackboneFinetuning) and not hasattr(module, "backbone"):
            raise UserError(
                f"BackboneFinetuning freezes module.backbone, which {name} has not: give the early layers a smaller "
                "rate with parameter_groups/layer_decay.yaml, or derive a module that has a backbone."
            )
        if isinstance(callback, LearningRateFinder) and not (hasattr(module, "lr") or hasattr(module, "learning_rate")):
            raise UserError(
                f"LearningRateFinder sets an attribute lr of the module, which {name} has not: use "
                "callbacks/lr_finder.yaml, or descent find-lr."
            )
        if isinstance(callback, ModelPruning):
            if getattr(module, "channels_last", False):
                raise UserError(
                    "ModelPruning needs weights in the usual memory format: set --model.channels_last false."
                )
            if resumed:
                raise UserError(
                    "A run with ModelPruning cannot be resumed: its checkpoint holds the pruned weights but not which "
                    "of them are pruned. Start it again without --ckpt_path."
                )
