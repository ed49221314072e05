"""What every task shares about epochs: what is logged at their ends, and sums that a checkpoint carries over."""

import sys
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

LISTED = 5


def describe_mismatch(checkpoint_state: Mapping[str, Any], module_state: Mapping[str, Any]) -> str:
    """Name the layers in which a checkpoint and a network differ; ``""`` where they fit.

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
    """The shape of a tensor; ``()`` for what has none (extra state)."""
    return tuple(getattr(value, "shape", ()))


def _capped(names: list[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


class EpochModule(LightningModule):
    """Logs, for each stage, the means that its steps gather in `means`, and the metrics that a task computes."""

    def __init__(self) -> None:
        super().__init__()
        self.means = {"train": EpochMeans(), "val": EpochMeans(), "test": EpochMeans()}

    # -- what a task says of itself ------------------------------------------------------------------------------------

    def metric_names(self) -> set[str]:
        """Names, without the stage, of what is logged for each epoch: the loss, and what a task adds."""
        return {"loss"}

    def compute_metrics(self, stage: str) -> dict[str, Tensor]:
        """Compute and reset the torchmetrics of `stage` ("val" or "test")."""
        return {}

    def logged_metrics(self) -> set[str]:
        """Names of what a run logs for each epoch."""
        return {"train/loss"} | {f"val/{name}" for name in self.metric_names()}

    # -- epochs --------------------------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        """See before the first step that what a plateau monitors will be logged."""
        check_monitor(self.trainer, self.logged_metrics())

    def on_train_epoch_end(self) -> None:
        """Log the means over the epoch's samples."""
        self.log_dict({f"train/{name}": mean for name, mean in self._epoch_means("train").items()})
        observe_plateaus(self)

    def on_validation_epoch_start(self) -> None:
        """Begin with nothing measured: an interrupted evaluation leaves sums behind."""
        self._evaluation_start("val")

    def on_test_epoch_start(self) -> None:
        """Begin with nothing measured."""
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
        measured = {**self._epoch_means(stage), **self.compute_metrics(stage)}
        self.log_dict({f"{stage}/{name}": value for name, value in measured.items()})

    def _epoch_means(self, stage: str) -> dict[str, Tensor]:
        strategy = self.trainer.strategy
        means = self.means[stage].compute(lambda total: strategy.reduce(total, reduce_op="sum"))
        self.means[stage].reset()
        return means

    @property
    def _log_every_n_steps(self) -> int:
        return self.trainer.log_every_n_steps or sys.maxsize  # type: ignore[attr-defined, no-any-return]

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the sums of an unfinished epoch, over all processes."""
        reduce = partial(self.trainer.strategy.reduce, reduce_op="sum") if self.trainer.world_size > 1 else None
        checkpoint["epoch_means"] = {stage: means.state_dict(reduce) for stage, means in self.means.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See that the checkpoint is one of this network; go on with the sums of an unfinished epoch.

        Raises:
            UserError: It is of another network; the message names the layers that differ.
        """
        mismatch = describe_mismatch(checkpoint["state_dict"], self.state_dict())
        if mismatch:
            network = getattr(self, "network", self)
            assert isinstance(network, nn.Module)
            raise UserError(
                f"The checkpoint is of another network than {type(network).__name__} as configured: {mismatch}. "
                "Give the config that it was made with (config.yaml in its run's folder)."
            )
        if self.global_rank == 0:  # they were summed over the processes
            for stage, state in checkpoint.get("epoch_means", {}).items():
                self.means[stage].load_state_dict(state)

    @property
    def _continues_a_fit(self) -> bool:
        trainer = trainer_of(self)
        return trainer is not None and trainer.state.fn == TrainerFn.FITTING
