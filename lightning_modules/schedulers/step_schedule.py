"""The interface of schedules: `ScheduleFactory`, and `StepSchedule` for those that depend only on the step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from foundation.compat.torch import LAST_LR, STEP_COUNT, set_last_lr
from lightning_modules.schedulers.run_length import RunLength


class ScheduleFactory(ABC):
    """A schedule as a config describes it, built once the optimizer and the length of the run are known."""

    @abstractmethod
    def build(self, optimizer: Optimizer, run_length: RunLength) -> dict[str, Any]:
        """Return Lightning's `lr_scheduler` config: the scheduler with its interval, frequency and monitor."""


class StepSchedule(ScheduleFactory):
    """A schedule without state, whose learning rate is the base rate × `factor(step, run_length)`."""

    @abstractmethod
    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the learning rate of optimizer step `step` (from 0) as a share of each group's base rate."""

    def momentum(self, step: int, run_length: RunLength) -> float | None:
        """Return the momentum of optimizer step `step`, or `None` if the schedule does not change it."""
        return None

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Raise UserError if the schedule does not fit the optimizer or the run."""
        self.factor(0, run_length)

    def build(self, optimizer: Optimizer, run_length: RunLength) -> dict[str, Any]:
        """Return Lightning's config of this schedule, stepped by optimizer step."""
        self.check(optimizer, run_length)
        return {"scheduler": StepScheduleLR(optimizer, self, run_length), "interval": "step", "frequency": 1}


class StepScheduleLR(LRScheduler):
    """The torch scheduler that sets the learning rate (and momentum) of every group as a `StepSchedule` says.

    Its state is the number of steps done and the base rates. The schedule is not part of it, so a run resumed with
    another length follows the schedule of the new length from that step on, and prints a message.
    """

    def __init__(self, optimizer: Optimizer, step_schedule: StepSchedule, run_length: RunLength) -> None:
        self.step_schedule = step_schedule
        self.run_length = run_length
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        """Return the learning rate of each group at the current step."""
        factor = self.step_schedule.factor(self.last_epoch, self.run_length)
        return [base * factor for base in self.base_lrs]

    def step(self, epoch: int | None = None) -> None:
        """Advance by one optimizer step."""
        super().step(epoch)
        self._set_momentum()

    def jump(self, step: int) -> None:
        """Set rate and momentum to those of optimizer step `step`."""
        self.last_epoch = step
        rates = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        set_last_lr(self, rates)
        self._set_momentum()

    def _set_momentum(self) -> None:
        momentum = self.step_schedule.momentum(self.last_epoch, self.run_length)
        if momentum is not None:
            set_momentum(self.optimizer, momentum)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain numbers, which `weights_only=True` can load."""
        kept = ("last_epoch", STEP_COUNT, "base_lrs", LAST_LR)
        return {key: getattr(self, key) for key in kept} | {"total_steps": self.run_length.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state; the schedule keeps the length of this run."""
        saved = dict(state_dict)
        total = saved.pop("total_steps")
        self.__dict__.update(saved)
        if total == self.run_length.steps:
            return
        before = self.get_last_lr()
        self.jump(self.last_epoch)
        rates = self.get_last_lr()
        rank_zero_info(
            f"{type(self.step_schedule).__name__}: saved in a run of {total} steps, now {self.run_length.steps}. The"
            f" learning rate of step {self.last_epoch} goes from {before[0]:.3g} to {rates[0]:.3g} and follows the new"
            " length."
        )


def momentum_key(optimizer: Optimizer) -> str | None:
    """Return the option that holds the momentum: `momentum`, `betas` (the first of them), or `None`."""
    group = optimizer.param_groups[0]
    return next((key for key in ("momentum", "betas") if key in group), None)


def set_momentum(optimizer: Optimizer, momentum: float) -> None:
    """Set the momentum (Adam's first beta) of every group."""
    key = momentum_key(optimizer)
    for group in optimizer.param_groups:
        group.update({key: momentum} if key == "momentum" else {"betas": (momentum, *group["betas"][1:])})


def linear(start: float, end: float, share: float) -> float:
    """Interpolate linearly between `start` (`share` = 0) and `end` (`share` = 1)."""
    return start + (end - start) * share
