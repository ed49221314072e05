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


COMPILED = "_orig_mod."  # torch.compile puts it into the names of the module that it wraps


def named_alike(state: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a state by the names of `own`, whichever of the two is of a network that `torch.compile` wraps.

    Args:
        state: A ``state_dict``.
        own: The ``state_dict`` of the module that it shall be loaded into.

    Example:
        >>> named_alike({"network._orig_mod.0.bias": 1}, {"network.0.bias": 2})
        {'network.0.bias': 1}
    """
    if not any(COMPILED in name for name in (*state, *own)):
        return state
    names = {name.replace(COMPILED, ""): name for name in own}
    return {names.get(name.replace(COMPILED, ""), name): value for name, value in state.items()}


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

    def setup(self, stage: str) -> None:
        """Forget the sums of a fit that was interrupted in this process; those of a checkpoint are loaded later."""
        if stage == "fit":
            for means in self.means.values():
                means.reset()

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
        checkpoint["state_dict"] = named_alike(checkpoint["state_dict"], self.state_dict())
        if self.strict_loading and trainer_of(self) is not None:  # else load_state_dict is told how strict to be
            self._check_state(checkpoint["state_dict"])
        if self.global_rank == 0:  # the sums are over all processes: only one may restore them
            for stage, state in checkpoint.get("epoch_means", {}).items():
                self.means[stage].load_state_dict(state)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights as torch does, also those of a network that was, or is, wrapped by `torch.compile`.

        Args:
            state_dict: The weights.
            strict: Whether a weight that is missing or left over is an error.
            assign: Keep the tensors of `state_dict` instead of copying them.

        Raises:
            UserError: The weights are of another network; the message names the layers that differ.
        """
        compiled = any(COMPILED in f"{name}." for name, _ in self.named_modules())
        if compiled or any(COMPILED in name for name in state_dict):
            state_dict = named_alike(state_dict, self.state_dict())
        if strict and trainer_of(self) is None:  # with a trainer on_load_checkpoint did it; state_dict is collective
            self._check_state(state_dict)
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def _check_state(self, state: Mapping[str, Any]) -> None:
        mismatch = describe_mismatch(state, self.state_dict())
        if not mismatch:
            return
        network = getattr(self, "network", self)
        assert isinstance(network, nn.Module)
        raise UserError(
            f"The checkpoint is of another network than {type(network).__name__} as configured: {mismatch}. "
            "Give the config that it was made with (config.yaml in the folder of its run)."
        )

    @property
    def _continues_a_fit(self) -> bool:
        trainer = trainer_of(self)
        return trainer is not None and trainer.state.fn == TrainerFn.FITTING
