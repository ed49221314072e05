"""Train the last layer of a pretrained network first, with the body frozen, then all layers."""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from foundation.argument_checks import require_between, require_choice
from foundation.compat.lightning import wrap_for_ddp_again
from foundation.compat.torch import is_batch_norm
from foundation.errors import UserError
from lightning_modules.optimizers.freezing import freeze, frozen_in, unfreeze
from lightning_modules.schedulers.run_length import RunLength


class Freeze(Callback):
    """Freeze the body of the network for the first part of a run; the last layer is trained from the beginning.

    Frozen means: no gradient is computed, the optimizer keeps no state, and the body is in evaluation mode, so that
    batch norm keeps its statistics and dropout does nothing. The optimizer has all parameters in its groups from the
    beginning, so that the schedule of their rates does not depend on the freezing; the printed table says which are
    frozen. A resumed run continues frozen or not, as it was.

    Args:
        until: Share of the run's epochs that the body is frozen for, in [0, 1], rounded to whole epochs, at least one.
            0 never freezes it; 1 trains the last layer alone.
        batch_norm: ``keep`` the pretrained statistics of batch norm for the whole run, or ``train`` them once the body
            is trained. With few images, or small batches, the pretrained ones are better.
        trained: Names of the layers that are trained from the beginning, such as ``model.fc``. Default: those that the
            network names in `head_parameters`, else its last layer.

    Raises:
        ValueError: An argument is outside its range.
        UserError: A name is not one of a layer, or the strategy shards the weights.
    """

    def __init__(
        self, until: float = 0.2, batch_norm: Literal["keep", "train"] = "keep", trained: list[str] | None = None
    ) -> None:
        require_between("until", until, 0, 1)
        require_choice("batch_norm", batch_norm, ("keep", "train"))
        self.until, self.batch_norm, self.trained = until, batch_norm, trained
        self.is_frozen = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Freeze the body, before a strategy wraps the module."""
        if stage != "fit":
            return
        if isinstance(trainer.strategy, (FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy)):
            raise UserError(
                f"Freeze cannot unfreeze weights that {type(trainer.strategy).__name__} has sharded: remove the "
                "callback, or use --trainer.strategy ddp."
            )
        network = network_in(pl_module)
        self.heads = self._heads(network)
        self.is_frozen = self.until > 0
        if self.is_frozen:
            prefix = next(name for name, child in [*pl_module.named_children(), ("", pl_module)] if child is network)
            names = {f"{prefix}.{name}" if prefix else name for name, _ in network.named_parameters()}
            freeze(pl_module, (name for name in names if not self._is_trained(name.removeprefix(f"{prefix}."))))

    def _heads(self, network: nn.Module) -> tuple[str, ...]:
        if self.trained is not None:
            layers = {name for name, _ in network.named_modules()}
            if unknown := [name for name in self.trained if name not in layers]:
                raise UserError(
                    f"Freeze: trained: the network has no layer {unknown[0]!r}; there are, for example, "
                    f"{', '.join([name for name in layers if name.count('.') < 2 and name][-5:])}."
                )
            return tuple(self.trained)
        named = getattr(network, "head_parameters", None)
        names = named() if callable(named) else {list(dict(network.named_parameters()))[-1]}
        return tuple({name.rpartition(".")[0] for name in names})

    def _is_trained(self, name: str) -> bool:
        return any(name.startswith(f"{head}.") for head in self.heads)

    # -- during the run ------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the modes: Lightning leaves them as they are, also in a run that is resumed in mid-epoch."""
        self._set_modes(pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Unfreeze the body when it is time."""
        if self.is_frozen and trainer.current_epoch >= self.first_epoch(trainer):
            self._unfreeze(pl_module)
            wrap_for_ddp_again(trainer)
        self._set_modes(pl_module)

    def first_epoch(self, trainer: Trainer) -> float:
        """Return the epoch, from 0, in which the body is first trained."""
        if self.until == 1:
            return float("inf")
        epochs = RunLength.from_trainer(trainer).epochs
        return 1 if epochs is None else max(1, round(self.until * epochs))

    def _unfreeze(self, module: LightningModule) -> None:
        count = sum(p.numel() for name, p in module.named_parameters() if name in frozen_in(module))
        unfreeze(module)
        self.is_frozen = False
        rank_zero_info(f"Freeze: from here on all layers are trained ({count:,} more parameters).")

    def _set_modes(self, module: LightningModule) -> None:
        for name, layer in network_in(module).named_modules():
            keeps = is_batch_norm(layer) and self.batch_norm == "keep" and not self._is_trained(f"{name}.")
            in_head = name in self.heads or self._is_trained(name)
            layer.training = not keeps and (in_head or not self.is_frozen)
            if is_batch_norm(layer):
                layer.keeps_statistics = not layer.training  # type: ignore[assignment]

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave no parameter frozen."""
        if stage == "fit":
            unfreeze(pl_module)

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return whether the body is frozen."""
        return {"is_frozen": self.is_frozen}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Unfreeze the body if it was trained already."""
        state = checkpoint.get("callbacks", {}).get(self.state_key)
        if self.is_frozen and state is not None and not state["is_frozen"]:
            unfreeze(pl_module)
            self.is_frozen = False


def network_in(module: LightningModule) -> nn.Module:
    """Return the network of a LightningModule, or itself."""
    network = getattr(module, "network", module)
    assert isinstance(network, nn.Module)
    return network
