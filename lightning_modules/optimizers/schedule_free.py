"""Schedule-free optimizers, which train one set of weights, and validate and save their average."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from torch.optim import Optimizer

TRAINED = "schedule_free"


def schedule_free(optimizer: Any) -> bool:
    """Return whether an optimizer, or its class, switches between two sets of weights (`train()` and `eval()`)."""
    return callable(getattr(optimizer, "train", None)) and callable(getattr(optimizer, "eval", None))


class ScheduleFreeWeights(Callback):
    r"""Switch a schedule-free optimizer to its averaged weights for validation and at the end of training.

    Gradients are taken at $y = (1 - \beta) z + \beta x$; the result of training is the average $x$. Validation, the
    weights after the fit and those in a checkpoint are $x$. A checkpoint also holds $y$ (under `schedule_free`), so
    that a resumed run gives identical results. Other optimizers are not affected. Our modules add this callback
    themselves.

    Reference: Defazio et al. The Road Less Scheduled. 2024.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train at y."""
        self._switch(trainer, "train")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate x."""
        self._switch(trainer, "eval")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue training at y."""
        self._switch(trainer, "train")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave x in the module."""
        self._switch(trainer, "eval")

    def _switch(self, trainer: Trainer, mode: str) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            for optimizer in filter(schedule_free, trainer.optimizers):
                getattr(optimizer, mode)()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save x as the weights, and y under `schedule_free`."""
        names = {id(parameter): name for name, parameter in pl_module.named_parameters()}
        trained = {}
        for optimizer in filter(schedule_free, trainer.optimizers):
            for parameter, average in averaged_weights(optimizer):
                name = names[id(parameter)]
                trained[name] = checkpoint["state_dict"][name]
                checkpoint["state_dict"][name] = average
        if trained:
            checkpoint[TRAINED] = trained

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore y if a fit is resumed."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        parameters = dict(pl_module.named_parameters())
        with torch.no_grad():
            for name, weights in checkpoint.get(TRAINED, {}).items():
                parameters[name].copy_(weights)


def averaged_weights(optimizer: Optimizer) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield every parameter that is at y, with its x, computed as in the optimizer's own `eval()`."""
    for group in optimizer.param_groups:
        if group.get("train_mode"):
            for parameter in group["params"]:
                if "z" in optimizer.state[parameter]:
                    z = optimizer.state[parameter]["z"]
                    yield parameter, parameter.detach().lerp(z, 1 - 1 / share_of_average(group))


def share_of_average(group: dict[str, Any]) -> float:
    """Return β, which Adam-like classes call the first of `betas`, and SGD-like ones `momentum`."""
    return float(group["betas"][0] if "betas" in group else group["momentum"])
