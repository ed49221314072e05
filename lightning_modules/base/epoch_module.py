"""Base class that logs at the end of epochs, and keeps the sums of an unfinished epoch in checkpoints."""

from collections.abc import Mapping
from functools import partial
from inspect import signature
from types import FunctionType
from typing import Any

from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from foundation.compat.lightning import QuickHookNames, trainer_of
from foundation.errors import UserError
from lightning_modules.base.epoch_means import EpochMeans
from lightning_modules.base.finite_weights import check_finite_weights
from lightning_modules.schedulers.monitor import check_monitor, observe_plateaus
from lightning_modules.weights.mismatch import COMPILED, describe_mismatch, named_alike
from lightning_modules.weights.needed import initial_weights_are_needed


class EpochModule(QuickHookNames, LightningModule):
    """Log at the end of each stage the means that its steps gather in `means`, and the metrics of the task."""

    weights: str | None = None
    """File whose weights a new run starts from."""

    weights_strict = True
    """Whether a layer of that file that does not fit is an error, unless it is the last one."""

    starts_from_file = False
    """Whether the run that the weights come from started from such a file; also known in a resumed one."""

    _loads_pretrained = False  # whether a new run loads the weights that the network names itself
    _initial_weights: str | UserError | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Store the signatures of steps, which the trainer asks for at each batch: 4 µs instead of 13."""
        super().__init_subclass__(**kwargs)
        for name in {"training_step", "validation_step", "test_step"} & vars(cls).keys():
            step = vars(cls)[name]
            if isinstance(step, FunctionType):
                step.__signature__ = signature(step)  # type: ignore[attr-defined]

    def __init__(self) -> None:
        super().__init__()
        self.means = {"train": EpochMeans(), "val": EpochMeans(), "test": EpochMeans()}

    def configure_callbacks(self) -> list[Callback]:
        """Add the callbacks that every task needs, unless the trainer has them from an earlier fit."""
        from lightning_modules.resuming.settings import ResumedSettings
        from lightning_modules.weights.initial import InitialWeights

        there = self.trainer.callbacks  # type: ignore[attr-defined]
        return [kind() for kind in (ResumedSettings, InitialWeights) if not any(type(c) is kind for c in there)]

    def start_from(self, weights: str | None, strict: bool) -> None:
        """Set the file that a new run starts from; not while a module is built that a checkpoint is loaded into."""
        self.weights = weights if initial_weights_are_needed() else None
        self.starts_from_file = weights is not None
        self.weights_strict, self._loads_pretrained = strict, initial_weights_are_needed()

    def initialized_network(self) -> nn.Module:
        """Return the module that `weights` are loaded into."""
        network = getattr(self, "network", self)
        assert isinstance(network, nn.Module)
        return network

    def load_initial_weights(self) -> None:
        """Load the file `weights`, or what the network itself starts from, once; `report_initial_weights` tells how.

        This is part of `setup`, before a strategy shards the weights. There it is not known yet whether a checkpoint
        will be loaded, which replaces them and needs no such file.
        """
        load_pretrained = getattr(self.initialized_network(), "load_pretrained", None)
        path, self.weights = self.weights, None
        own, self._loads_pretrained = self._loads_pretrained, False
        try:
            if path is not None:
                from lightning_modules.weights.initial import load_initial_weights

                self._initial_weights = load_initial_weights(self.initialized_network(), path, self.weights_strict)
            elif own and load_pretrained is not None and getattr(trainer_of(self), "ckpt_path", None) is None:
                self._initial_weights = load_pretrained()
        except UserError as error:
            self._initial_weights = error

    def require_initial_weights(self) -> None:
        """Load them before what takes long, such as decoding images. Only for a run that loads no checkpoint.

        Raises:
            UserError: They could not be had, or do not fit the network.
        """
        before = self.weights, self._loads_pretrained
        self.load_initial_weights()
        if isinstance(self._initial_weights, UserError):
            self.weights, self._loads_pretrained = before  # another call must not start from random weights
            self.report_initial_weights()

    def report_initial_weights(self) -> None:
        """Print which weights were loaded.

        Raises:
            UserError: The file could not be read, or does not fit the network.
        """
        report, self._initial_weights = self._initial_weights, None
        if isinstance(report, UserError):
            raise report
        if report:
            rank_zero_info(report)

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
        """Load `weights`; forget the sums of a fit that was interrupted in this process."""
        if stage == "fit":  # those of a checkpoint are loaded later
            for means in self.means.values():
                means.reset()
        self.load_initial_weights()

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
            UserError: The checkpoint is of another network, or its weights are not finite; the message names layers.
        """
        if "state_dict" in checkpoint:  # a strategy that shards the weights has loaded and removed them
            checkpoint["state_dict"] = named_alike(checkpoint["state_dict"], self.state_dict())
            if self.strict_loading and trainer_of(self) is not None:  # else load_state_dict is told how strict to be
                self._check_state(checkpoint["state_dict"])
            check_finite_weights(checkpoint["state_dict"], (name for name, _ in self.named_parameters()))
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
