"""A linear warm-up before any schedule."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.cli import LRSchedulerCallable
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from foundation.argument_checks import check_share
from foundation.compat.torch import LAST_LR, set_last_lr
from lightning_modules.schedulers.build import build_schedule
from lightning_modules.schedulers.factory import ScheduleFactory
from lightning_modules.schedulers.plateau import PlateauSchedule
from lightning_modules.schedulers.run_length import Duration, RunLength
from lightning_modules.schedulers.step_schedule import StepSchedule, linear


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
        set_last_lr(self, [group["lr"] for group in self.optimizer.param_groups])

    def observe(self, value: float) -> None:
        """Pass a monitored value on, once the warm-up is over."""
        if isinstance(self.inner, PlateauSchedule) and self.last_epoch >= self.warmup:
            self.inner.observe(value)
            set_last_lr(self, self.inner.get_last_lr())

    def state_dict(self) -> dict[str, Any]:
        """Return the step, the rates that the warm-up ends at and the inner scheduler's state."""
        kept = ("last_epoch", LAST_LR, "targets")
        return {key: getattr(self, key) for key in kept} | {"inner": self.inner.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state."""
        own = dict(state_dict)
        self.inner.load_state_dict(own.pop("inner"))
        self.__dict__.update(own)


class Warmup(ScheduleFactory):
    r"""The rate rises linearly to the first rate of `scheduler`, which then runs over what is left.

    $$\eta_t = \eta_0 \left(s + (1 - s)\, t / w\right) \quad (t < w)$$

    with $s$ = `start_factor` and $w$ the steps of the warm-up. Schedules that fill the run fill what the warm-up leaves
    of it. A plateau is told nothing while the rate rises, a torch class begins to count when the warm-up is over.

    Args:
        scheduler: what comes after: a recipe, or a torch scheduler class without its optimizer.
        steps: length in optimizer steps, ≥ 1; or
        epochs: length in epochs, > 0; or
        fraction: length as a share of the run, in (0, 1). Exactly one of the three is given.
        start_factor: $s$ in [0, 1], the first rate as a share of the rate to be reached; at 0 the first step is lost.

    Raises:
        ValueError: an argument is outside its range, or not exactly one length is given.

    Example:
        >>> from lightning_modules.schedulers import Cosine
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> warmup = Warmup(Cosine(), fraction=0.1, start_factor=0.1)
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = warmup.build(optimizer, run_length)["scheduler"]
        >>> [round(scheduler.curve.factor(step, run_length), 3) for step in (0, 5, 10, 55, 100)]
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
        self.span = Duration("Warmup", steps, epochs, fraction)
        check_share("start_factor", start_factor)
        self.scheduler = scheduler
        self.start_factor = start_factor

    def build(self, optimizer: Optimizer, run_length: RunLength) -> dict[str, Any]:
        """Return Lightning's config of the warm-up and what follows it."""
        warmup = self.span.resolve(run_length)
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
    """A warm-up and a curve are again a curve: the first a line, the second moved to the warm-up's end."""

    def __init__(self, inner: StepSchedule, warmup: int, start_factor: float) -> None:
        self.inner = inner
        self.warmup = warmup
        self.start_factor = start_factor

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Let the inner curve check itself against what the warm-up leaves."""
        self.inner.check(optimizer, run_length.after(self.warmup))

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the share of the base rate at `step`."""
        rest = run_length.after(self.warmup)
        if step < self.warmup:
            return self.inner.factor(0, rest) * linear(self.start_factor, 1.0, step / self.warmup)
        return self.inner.factor(step - self.warmup, rest)

    def momentum(self, step: int, run_length: RunLength) -> float | None:
        """Return the inner curve's momentum, its first value while the rate warms up."""
        return self.inner.momentum(max(0, step - self.warmup), run_length.after(self.warmup))
