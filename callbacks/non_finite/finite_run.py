"""End a run whose weights or loss are NaN or infinite, and say what to do."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from callbacks.non_finite.black_box import BlackBox
from foundation.errors import UserError
from foundation.metrics.freshness import MeasuredIn
from lightning_modules.base.finite_weights import not_finite

SMALLEST = torch.finfo(torch.float32).tiny
"""Below it an `eps` may be 0 on a device."""
LOSSES = ("train/loss", "val/loss")
BLACK_BOX = "--trainer.callbacks+=callbacks/black_box.yaml stops at the first such value and names the layer"


class FiniteRun(Callback):
    """End a run at the end of the epoch in which a weight became NaN or infinite, before that is saved.

    A run whose last epoch has a loss that is not finite ends with an error too, as with a gradient scaler that skips
    every step; not where `BlackBox` passes over such steps. The weights are read once an epoch.

    Raises:
        UserError: The run has diverged; the message names the first parameter and what to try.
    """

    def __init__(self) -> None:
        self.measured = MeasuredIn()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember which values are those of earlier epochs."""
        self.measured.skip(trainer.callback_metrics)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the weights; the checkpoint of the epoch is saved after this hook."""
        wrong = not_finite(pl_module.named_parameters())
        # Of sharded weights a process sees its own part only; all of them must end.
        if trainer.strategy.reduce_boolean_decision(not wrong, all=True):
            return
        named = f"{len(wrong)} parameters, the first is {wrong[0]}" if wrong else "on another process"
        raise UserError(
            f"The run has diverged: in epoch {trainer.current_epoch + 1} weights became NaN or infinite ({named})."
            f" {_of_eps(trainer) or advice(trainer)}"
        )

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the losses of the last epoch."""
        if trainer.interrupted or skips_steps(trainer):
            return
        values = {name: float(trainer.callback_metrics[name]) for name in self.measured.new(trainer.callback_metrics)}
        wrong = [f"{name} is {values[name]}" for name in LOSSES if not math.isfinite(values.get(name, 0.0))]
        if wrong:
            only_validation = (
                "" if wrong[0].startswith("train/") else " A sample of the validation data may hold a NaN."
            )
            raise UserError(
                f"The run is over, but the losses of its last epoch are not finite: {' and '.join(wrong)}."
                f"{only_validation} {advice(trainer)}"
            )


def skips_steps(trainer: Any) -> bool:
    """Return whether a `BlackBox` was told to pass over steps with such values; the epoch's mean still has them."""
    return any(isinstance(each, BlackBox) and each.action == "skip" for each in trainer.callbacks)


def advice(trainer: Any) -> str:
    """Say what to try against a diverging run, with the run's own numbers."""
    rates = [group.get("initial_lr", group["lr"]) for group in _groups(trainer)]
    rate = f" (it is {float(max(rates)):.3g})" if rates else ""
    clipping = "" if trainer.gradient_clip_val else ", clip gradients with --trainer.gradient_clip_val 1"
    return f"Lower --model.optimizer.lr{rate}{clipping}, or find the cause: {BLACK_BOX}."


def _of_eps(trainer: Any) -> str:
    """Say what an `eps` of 0 does, if an optimizer has one: its weights become NaN where a gradient is 0."""
    if not any(isinstance(eps := group.get("eps"), float | int) and eps < SMALLEST for group in _groups(trainer)):
        return ""
    return "An eps of 0 divides a gradient of 0 by 0: set --model.optimizer.eps, usually to 1e-8."


def _groups(trainer: Any) -> list[dict[str, Any]]:
    return [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
