"""Linear warm-up before any schedule."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.cli import LRSchedulerCallable
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from foundation.argument_checks import require_between
from foundation.compat.torch import LAST_LR, set_last_lr
from lightning_modules.schedulers.build import build_schedule
from lightning_modules.schedulers.plateau import PlateauSchedule
from lightning_modules.schedulers.run_length import Duration, RunLength
from lightning_modules.schedulers.step_schedule import ScheduleFactory, StepSchedule, linear


class WarmedSchedule(LRScheduler):
    """The torch scheduler of a linear warm-up, followed by another scheduler.

    It is stepped once per optimizer step. During the warm-up the inner scheduler gets neither steps nor monitored
    values.

    Args:
        optimizer: The optimizer.
        inner: The scheduler that follows, already built, so that the groups have its first rates.
        warmup: Length of the warm-up in optimizer steps, ≥ 1.
        start_factor: First rate as a share of the first rate of the inner scheduler.
        every: Optimizer steps per step of the inner scheduler: 1, or the steps of an epoch.
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
        """The name of the value that the inner scheduler monitors, or `None`."""
        return self.inner.monitor if isinstance(self.inner, PlateauSchedule) else None

    @property
    def plateau(self) -> ReduceLROnPlateau:
        """Torch's `ReduceLROnPlateau`, if the inner scheduler is a plateau."""
        assert isinstance(self.inner, PlateauSchedule)
        return self.inner.plateau

    def step(self, epoch: int | None = None) -> None:
        """Advance by one optimizer step."""
        self.last_epoch += 1
        if self.last_epoch <= self.warmup:
            factor = linear(self.start_factor, 1.0, self.last_epoch / self.warmup)
            for group, target in zip(self.optimizer.param_groups, self.targets, strict=True):
                group["lr"] = target * factor
        elif self.last_epoch % self.every == 0:
            self.inner.step()
        set_last_lr(self, [group["lr"] for group in self.optimizer.param_groups])

    def observe(self, value: float) -> None:
        """Pass on a monitored value after the warm-up."""
        if isinstance(self.inner, PlateauSchedule) and self.last_epoch >= self.warmup:
            self.inner.observe(value)
            set_last_lr(self, self.inner.get_last_lr())

    def state_dict(self) -> dict[str, Any]:
        """Return the step, the rates at the end of the warm-up and the state of the inner scheduler."""
        kept = ("last_epoch", LAST_LR, "targets")
        return {key: getattr(self, key) for key in kept} | {"inner": self.inner.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state."""
        own = dict(state_dict)
        self.inner.load_state_dict(own.pop("inner"))
        self.__dict__.update(own)


class Warmup(ScheduleFactory):
    r"""Raise the rate linearly to the first rate of `scheduler`, which then covers the rest of the run.

    $$\eta_t = \eta_0 \left(s + (1 - s)\, t / w\right) \quad (t < w)$$

    with $s$ = `start_factor` and $w$ the steps of the warm-up. A plateau gets no values during the warm-up; a torch
    scheduler class starts counting at its end.

    Args:
        scheduler: The schedule that follows: a schedule factory, or a torch scheduler class without its optimizer.
        steps: Length in optimizer steps, ≥ 1. Give exactly one of `steps`, `epochs` and `fraction`.
        epochs: Length in epochs, > 0.
        fraction: Length as a share of the run, in (0, 1).
        start_factor: $s$ in [0, 1], the first rate as a share of the rate to reach; at 0 the first step has no effect.

    Raises:
        ValueError: An argument is outside its range, or not exactly one length is given.

    Example:
        >>> from lightning_modules.schedulers import Cosine
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> warmup = Warmup(Cosine(), fraction=0.1, start_factor=0.1)
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = warmup.build(optimizer, run_length)["scheduler"]
        >>> [round(scheduler.step_schedule.factor(step, run_length), 3) for step in (0, 5, 10, 55, 100)]
        [0.1, 0.55, 1.0, 0.5, 0.0]

    Reference: Goyal et al. Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour. 2017.
    """

    def __init__(
        self,
        scheduler: ScheduleFactory | LRSchedulerCallable,
        steps: int | None = None,
        epochs: float | None = None,
        fraction: float | None = None,
        start_factor: float = 0.01,
    ) -> None:
        self.duration = Duration("Warmup", steps, epochs, fraction)
        require_between("start_factor", start_factor, 0, 1)
        self.scheduler = scheduler
        self.start_factor = start_factor

    def build(self, optimizer: Optimizer, run_length: RunLength) -> dict[str, Any]:
        """Return Lightning's config of the warm-up and the schedule that follows."""
        warmup = self.duration.resolve(run_length)
        if isinstance(self.scheduler, StepSchedule):
            return WarmedStepSchedule(self.scheduler, warmup, self.start_factor).build(optimizer, run_length)
        config = build_schedule(self.scheduler, optimizer, run_length.after(warmup))
        assert config is not None
        by_epoch = config["interval"] == "epoch"
        every = run_length.in_steps(1, "Warmup before a schedule by epoch") if by_epoch else 1
        inner = config["scheduler"]
        warmed = WarmedSchedule(optimizer, inner, warmup, self.start_factor, every)
        return config | {"scheduler": warmed, "interval": "step"}


class WarmedStepSchedule(StepSchedule):
    """A step schedule with a linear warm-up before it, which is again a step schedule."""

    def __init__(self, inner: StepSchedule, warmup: int, start_factor: float) -> None:
        self.inner = inner
        self.warmup = warmup
        self.start_factor = start_factor

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Check the inner schedule against the run that remains after the warm-up."""
        self.inner.check(optimizer, run_length.after(self.warmup))

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the rate at `step` as a share of the base rate."""
        rest = run_length.after(self.warmup)
        if step < self.warmup:
            return self.inner.factor(0, rest) * linear(self.start_factor, 1.0, step / self.warmup)
        return self.inner.factor(step - self.warmup, rest)

    def momentum(self, step: int, run_length: RunLength) -> float | None:
        """Return the momentum of the inner schedule, during the warm-up its first value."""
        return self.inner.momentum(max(0, step - self.warmup), run_length.after(self.warmup))
