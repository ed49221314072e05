"""Base class that logs at the end of epochs, and keeps the sums of an unfinished epoch in checkpoints."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn

from foundation.compat.lightning import trainer_of
from foundation.errors import UserError
from lightning_modules.base.epoch_means import EpochMeans
from lightning_modules.schedulers.monitor import check_monitor, observe_plateaus

MOST_NAMES = 5  # in a message


def describe_mismatch(checkpoint_state: Mapping[str, Any], module_state: Mapping[str, Any]) -> str:
    """Name the layers in which a checkpoint and a network differ; return ``""`` if they match.

    Args:
        checkpoint_state: The checkpoint's ``state_dict``.
        module_state: The module's own ``state_dict()``.

    Example:
        >>> import torch
        >>> describe_mismatch(torch.nn.Linear(2, 3).state_dict(), torch.nn.Linear(2, 4, bias=False).state_dict())
        'of another shape: weight (3, 2) in the checkpoint, (4, 2) in the network; only in the checkpoint: bias'
    """
    common = [name for name in module_state if name in checkpoint_state]
    shapes = [(name, shape_of(checkpoint_state[name]), shape_of(module_state[name])) for name in common]
    parts = {
        "of another shape": [f"{n} {a} in the checkpoint, {b} in the network" for n, a, b in shapes if a != b],
        "only in the network": [name for name in module_state if name not in checkpoint_state],
        "only in the checkpoint": [name for name in checkpoint_state if name not in module_state],
    }
    return "; ".join(f"{title}: {_capped(names)}" for title, names in parts.items() if names)


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of a tensor, or ``()`` for anything else (extra state)."""
    return tuple(getattr(value, "shape", ()))


def _capped(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


class EpochModule(LightningModule):
    """Log at the end of each stage the means that its steps gather in `means`, and the metrics of the task."""

    def __init__(self) -> None:
        super().__init__()
        self.means = {"train": EpochMeans(), "val": EpochMeans(), "test": EpochMeans()}

    # -- overridden by a task ------------------------------------------------------------------------------------------

    def metric_names(self) -> set[str]:
        """Return the names, without the stage, of what is logged per epoch: the loss, and what a task adds."""
        return {"loss"}

    def compute_metrics(self, stage: str) -> dict[str, Tensor]:
        """Compute and reset the metrics of `stage` ("val" or "test")."""
        return {}

    def logged_metrics(self) -> set[str]:
        """Return the names of everything logged per epoch."""
        return {"train/loss"} | {f"val/{name}" for name in self.metric_names()}

    # -- epochs --------------------------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        """Check that the value a plateau schedule monitors will be logged."""
        check_monitor(self.trainer, self.logged_metrics())

    def on_train_epoch_end(self) -> None:
        """Log the means over the samples of the epoch."""
        self.log_dict({f"train/{name}": mean for name, mean in self._epoch_means("train").items()})
        observe_plateaus(self)

    def on_validation_epoch_start(self) -> None:
        """Reset the sums, which an interrupted evaluation leaves behind."""
        self._evaluation_start("val")

    def on_test_epoch_start(self) -> None:
        """Reset the sums."""
        self._evaluation_start("test")

    def on_validation_epoch_end(self) -> None:
        """Log the validation loss and metrics."""
        self._evaluation_end("val")
        observe_plateaus(self)

    def on_test_epoch_end(self) -> None:
        """Log the test loss and metrics."""
        self._evaluation_end("test")

    def _evaluation_start(self, stage: str) -> None:
        self.means[stage].reset()

    def _evaluation_end(self, stage: str) -> None:
        values = {**self._epoch_means(stage), **self.compute_metrics(stage)}
        self.log_dict({f"{stage}/{name}": value for name, value in values.items()})

    def _epoch_means(self, stage: str) -> dict[str, Tensor]:
        strategy = self.trainer.strategy
        means = self.means[stage].compute(lambda total: strategy.reduce(total, reduce_op="sum"))
        self.means[stage].reset()
        return means

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the sums of an unfinished epoch, over all processes."""
        reduce = partial(self.trainer.strategy.reduce, reduce_op="sum") if self.trainer.world_size > 1 else None
        checkpoint["epoch_means"] = {stage: means.state_dict(reduce) for stage, means in self.means.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint fits the network; restore the sums of an unfinished epoch.

        Raises:
            UserError: The checkpoint is of another network; the message names the layers that differ.
        """
        mismatch = describe_mismatch(checkpoint["state_dict"], self.state_dict())
        if mismatch:
            network = getattr(self, "network", self)
            assert isinstance(network, nn.Module)
            raise UserError(
                f"The checkpoint is of another network than {type(network).__name__} as configured: {mismatch}. "
                "Give the config that it was made with (config.yaml in the folder of its run)."
            )
        if self.global_rank == 0:  # the sums are over all processes: only one may restore them
            for stage, state in checkpoint.get("epoch_means", {}).items():
                self.means[stage].load_state_dict(state)

    @property
    def _continues_a_fit(self) -> bool:
        trainer = trainer_of(self)
        return trainer is not None and trainer.state.fn == TrainerFn.FITTING
