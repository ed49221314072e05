"""The shell that holds any scheduler back until the learning rate has warmed up."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lightning_modules.schedulers.curve import linear
from lightning_modules.schedulers.plateau_schedule import PlateauSchedule


class WarmedSchedule(LRScheduler):
    """A linear warm-up, then any scheduler from its first value on.

    Stepped once an optimizer step. While it warms up the inner scheduler is neither stepped nor told a monitored value.

    Args:
        optimizer: the optimizer to be scheduled.
        inner: the scheduler to come, built already, so that the groups' rates are its first ones.
        warmup: optimizer steps of the warm-up, ≥ 1.
        start_factor: the first rate as a share of the inner scheduler's first.
        every: optimizer steps to one step of the inner scheduler: 1, or those of an epoch.
    """

    def __init__(
        self, optimizer: Optimizer, inner: LRScheduler, warmup: int, start_factor: float, every: int = 1
    ) -> None:
        self.inner = inner
        self.warmup = warmup
        self.start_factor = start_factor
        self.every = every
        self.targets = [group["lr"] for group in optimizer.param_groups]
        super().__init__(optimizer)

    @property
    def monitor(self) -> str | None:
        """The value that the inner scheduler watches, `None` when it watches none."""
        return self.inner.monitor if isinstance(self.inner, PlateauSchedule) else None

    @property
    def plateau(self) -> ReduceLROnPlateau:
        """Torch's plateau inside, where the inner scheduler watches a value."""
        assert isinstance(self.inner, PlateauSchedule)
        return self.inner.plateau

    def step(self, epoch: int | None = None) -> None:
        """Move on by one optimizer step."""
        self.last_epoch += 1
        if self.last_epoch <= self.warmup:
            factor = linear(self.start_factor, 1.0, self.last_epoch / self.warmup)
            for group, target in zip(self.optimizer.param_groups, self.targets, strict=True):
                group["lr"] = target * factor
        elif self.last_epoch % self.every == 0:
            self.inner.step()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def observe(self, value: float) -> None:
        """Pass a monitored value on, once the warm-up is over."""
        if isinstance(self.inner, PlateauSchedule) and self.last_epoch >= self.warmup:
            self.inner.observe(value)
            self._last_lr = self.inner.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return the step, the rates that the warm-up ends at and the inner scheduler's state."""
        kept = ("last_epoch", "_last_lr", "targets")
        return {key: getattr(self, key) for key in kept} | {"inner": self.inner.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state."""
        own = dict(state_dict)
        self.inner.load_state_dict(own.pop("inner"))
        self.__dict__.update(own)
