"""Reduce the learning rate when a monitored value stops improving."""

from __future__ import annotations

from typing import Any, Literal

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from foundation.argument_checks import check_at_least
from lightning_modules.schedulers.factory import ScheduleFactory
from lightning_modules.schedulers.run_length import RunLength


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


class Plateau(ScheduleFactory):
    r"""Multiply the rate by `factor` when `monitor` has not improved in more than `patience` validations.

    $\eta \leftarrow \max(f \eta, \eta_\text{min})$ once `patience` + 1 validations in a row were not better
    than the best by `threshold`. torch's `ReduceLROnPlateau` does the counting; one validation is one count, however
    many of them an epoch has, or epochs between them.

    Args:
        monitor: the logged value to watch.
        mode: `min` where smaller is better, `max` where larger is.
        factor: $f$ in (0, 1).
        patience: validations without improvement that are let pass, ≥ 0.
        threshold: improvements smaller than this do not count, ≥ 0.
        threshold_mode: `rel`: a share of the best value; `abs`: in its unit.
        cooldown: validations after a reduction in which nothing is counted, ≥ 0.
        min_lr: $\eta_\text{min}$ ≥ 0, for every parameter group.

    Raises:
        ValueError: an argument is outside its range.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> config = Plateau(patience=0).build(optimizer, RunLength(steps=3, epochs=3, steps_per_epoch=1))
        >>> for loss in (1.0, 1.0):
        ...     config["scheduler"].observe(loss)
        >>> optimizer.param_groups[0]["lr"]
        0.05
    """

    def __init__(
        self,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] = "min",
        factor: float = 0.5,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not monitor:
            raise ValueError("monitor must name a logged value such as val/loss, got an empty name.")
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be min or max, got {mode!r}.")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode must be rel or abs, got {threshold_mode!r}.")
        if not 0 < factor < 1:
            raise ValueError(f"factor must be in (0, 1), got {factor}.")
        for name, value in (
            ("patience", patience),
            ("threshold", threshold),
            ("cooldown", cooldown),
            ("min_lr", min_lr),
        ):
            check_at_least(name, value, 0)
        self.monitor = monitor
        self.mode: Literal["min", "max"] = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode: Literal["rel", "abs"] = threshold_mode
        self.cooldown = cooldown
        self.min_lr = min_lr

    def build(self, optimizer: Optimizer, run_length: RunLength) -> dict[str, Any]:
        """Return Lightning's config of the plateau; `observe_plateaus` feeds it."""
        inner = ReduceLROnPlateau(
            optimizer,
            mode=self.mode,
            factor=self.factor,
            patience=self.patience,
            threshold=self.threshold,
            threshold_mode=self.threshold_mode,
            cooldown=self.cooldown,
            min_lr=self.min_lr,
            eps=0.0,
        )
        return plateau_config(PlateauSchedule(optimizer, inner, self.monitor))
