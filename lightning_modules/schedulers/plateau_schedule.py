"""The shell around torch's ReduceLROnPlateau that is told one value by each validation."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class PlateauSchedule(LRScheduler):
    """Torch's ReduceLROnPlateau, fed by `observe` and not by `step`.

    Lightning steps a plateau when a batch count says so, which misses validations under accumulation, repeats old
    values when validation is rarer than the epoch, and loses one step in a resume. Here the module's own end of
    validation feeds it (`observe_plateaus`), once each. Lightning's call at every optimizer step does nothing.
    """

    def __init__(self, optimizer: Optimizer, inner: torch.optim.lr_scheduler.ReduceLROnPlateau, monitor: str) -> None:
        self.optimizer = optimizer
        self.inner = inner
        self.monitor = monitor

    @property
    def plateau(self) -> torch.optim.lr_scheduler.ReduceLROnPlateau:
        """Torch's scheduler, which does the counting."""
        return self.inner

    def step(self, epoch: int | None = None) -> None:
        """Do nothing: an optimizer step tells a plateau nothing."""

    def observe(self, value: float) -> None:
        """Take in the monitored value of one validation; reduce the rate when patience is over, and say so."""
        before = self.get_last_lr()
        self.inner.step(value)
        after = self.get_last_lr()
        if after != before:
            rates = ", ".join(f"{old:.3g} → {new:.3g}" for old, new in zip(before, after, strict=True))
            rank_zero_info(
                f"{self.monitor} has not improved on {self.inner.best:.6g} for {self.inner.patience + 1} validations:"
                f" learning rate {rates}."
            )

    def get_last_lr(self) -> list[Any]:
        """Return each group's learning rate."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the plateau's counters, its best value and its rates."""
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from those counters."""
        self.inner.load_state_dict(state_dict)


def plateau_config(scheduler: PlateauSchedule) -> dict[str, Any]:
    """Return Lightning's config of a plateau that our end of validation feeds, and Lightning does not."""
    return {
        "scheduler": scheduler,
        "interval": "step",
        "frequency": 1,
        "monitor": scheduler.monitor,
        "reduce_on_plateau": False,
        "strict": False,
    }
