"""Several torch schedulers in one: one after the other, or all at once."""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch.cli import LRSchedulerCallable
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler, SequentialLR

from foundation.argument_checks import require_choice
from foundation.errors import UserError
from lightning_modules.schedulers.run_length import RunLength
from lightning_modules.schedulers.step_schedule import ScheduleFactory


class Combined(ScheduleFactory):
    """torch's SequentialLR or ChainedScheduler, whose own arguments a config cannot give.

    These take schedulers that have their optimizer already, which exists only when training starts. Here the schedulers
    are given without it.

    Args:
        schedulers: Torch scheduler classes without their optimizer; at least one, none of them a plateau.
        interval: `step` or `epoch`: the unit of a step of the schedulers, of their lengths and of `milestones`.
        milestones: At each of them the next scheduler takes over, ascending, one fewer than schedulers (SequentialLR);
            `None`: all act at once, and their factors are multiplied (ChainedScheduler).

    Raises:
        ValueError: The interval is neither, there is no scheduler, or the number of milestones is wrong.

    Example:
        >>> import functools, torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> warm = functools.partial(torch.optim.lr_scheduler.ConstantLR, factor=0.1, total_iters=2)
        >>> decay = functools.partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.5)
        >>> config = Combined([warm, decay], "step", milestones=[2]).build(optimizer, RunLength(10, 1, 10))
        >>> schedule = config["scheduler"]
        >>> rates = []
        >>> for _ in range(4):
        ...     rates.append(round(schedule.get_last_lr()[0], 3))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.01, 0.01, 0.1, 0.05]
    """

    def __init__(
        self,
        schedulers: list[LRSchedulerCallable],
        interval: Literal["step", "epoch"],
        milestones: list[int] | None = None,
    ) -> None:
        require_choice("interval", interval, ("step", "epoch"))
        if not schedulers:
            raise ValueError("schedulers must name at least one scheduler.")
        if milestones is not None and (len(milestones) != len(schedulers) - 1 or milestones != sorted(set(milestones))):
            raise ValueError(
                f"milestones must be ascending and one fewer than the {len(schedulers)} schedulers, got {milestones}."
            )
        self.schedulers, self.interval, self.milestones = schedulers, interval, milestones

    def build(self, optimizer: Optimizer, run_length: RunLength) -> dict[str, Any]:
        """Return Lightning's config of the scheduler, stepped at the interval.

        Raises:
            UserError: One of the schedulers follows a monitored value.
        """
        built = [scheduler(optimizer) for scheduler in self.schedulers]
        plateaus = [type(scheduler).__name__ for scheduler in built if not isinstance(scheduler, LRScheduler)]
        plateaus += [type(scheduler).__name__ for scheduler in built if hasattr(scheduler, "num_bad_epochs")]
        if plateaus:
            raise UserError(f"Combined: {plateaus[0]} follows a monitored value, and the others cannot pass it on.")
        one_by_one = self.milestones is not None
        combined = SequentialLR(optimizer, built, self.milestones or []) if one_by_one else ChainedScheduler(built)
        return {"scheduler": combined, "interval": self.interval, "frequency": 1}
