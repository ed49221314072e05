"""Callbacks of Lightning that do not do in a run of Descent what they say, or not together with another one."""

from collections.abc import Sequence

from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BaseFinetuning,
    BasePredictionWriter,
    LearningRateFinder,
    ModelPruning,
    StochasticWeightAveraging,
    WeightAveraging,
)

from foundation.errors import UserError

ABSTRACT = {
    BaseFinetuning: "freeze_before_training and finetune_function",
    BasePredictionWriter: "write_on_batch_end or write_on_epoch_end",
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
        if isinstance(callback, LearningRateFinder):
            raise UserError(
                "LearningRateFinder sets an attribute lr of the module, which the optimizer of a config does not read: "
                "use callbacks/lr_finder.yaml, or descent find-lr."
            )
        if isinstance(callback, StochasticWeightAveraging):
            raise UserError(
                "StochasticWeightAveraging replaces the schedule, and hands over the average only after the last "
                "checkpoint is saved: use callbacks/ema.yaml, whose average is validated and saved."
            )
    check_pairs(callbacks)


def check_pairs(callbacks: Sequence[Callback]) -> None:
    """Check that no two callbacks change the weights under each other.

    Raises:
        UserError: Two of them do.
    """
    averages = [type(callback).__name__ for callback in callbacks if isinstance(callback, WeightAveraging)]
    if len(averages) > 1:
        raise UserError(
            f"{' and '.join(averages)} would both replace the weights during validation and in checkpoints: keep one."
        )
    if averages and any(isinstance(callback, ModelPruning) for callback in callbacks):
        raise UserError(
            f"{averages[0]} averages parameters by their order, which ModelPruning changes: keep one of the two."
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
