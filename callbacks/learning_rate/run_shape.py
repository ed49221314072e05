"""Length and schedule of the run that a learning rate is searched for."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.optim import Optimizer

from callbacks.learning_rate.suggestions import Floats
from foundation.errors import UserError
from lightning_modules.schedulers import RunLength, build_schedule
from lightning_modules.schedulers.preview import preview
from lightning_modules.schedulers.step_schedule import StepSchedule

ASSUMED_STEPS = 1000
MOST_REPLAYED = 50_000  # steps of a schedule that is stepped through


@dataclass(frozen=True)
class RunShape:
    """The rate at each step of a run, as a share of its highest.

    Args:
        steps: Optimizer steps of the run.
        factors: Shares at equally distant steps; empty for a constant rate.
        known: Whether the length follows from the trainer.
    """

    steps: int
    factors: list[float] = field(default_factory=list)
    known: bool = True

    def rates(self, highest: float, count: int) -> Floats:
        """Return the rates of a run of `count` steps: the schedule of the whole run, compressed.

        Example:
            >>> RunShape(100, [0.0, 1.0, 0.5, 0.25]).rates(0.1, 2).tolist()
            [0.0, 0.05]
        """
        if not self.factors:
            return np.full(count, highest)
        places = (np.arange(count) * len(self.factors)) // count
        return highest * np.asarray(self.factors)[places]


def run_steps(trainer: Trainer | None, batches_per_epoch: float) -> int | None:
    """Return the optimizer steps of the trainer's run; `None` if it has no known end.

    Args:
        trainer: Of the run.
        batches_per_epoch: Infinite if unknown.
    """
    if trainer is None:
        return None
    limits: list[float] = [float(trainer.max_steps)] if trainer.max_steps not in (None, -1) else []
    if trainer.max_epochs not in (None, -1) and batches_per_epoch < math.inf:
        limits.append(trainer.max_epochs * math.ceil(batches_per_epoch / trainer.accumulate_grad_batches))
    return int(max(min(limits), 1)) if limits else None


def run_shape(module: LightningModule, steps: int | None, per_epoch: float, foreign: "RunShape | None") -> RunShape:
    """Return the shape of the run of a module.

    Args:
        module: Descent's keep the factory of their schedule in `scheduler`.
        steps: Optimizer steps of the run; `None`: 1000 are assumed.
        per_epoch: Optimizer steps of an epoch, infinite if unknown.
        foreign: What the schedules looked like that the module's copy built for itself.
    """
    length = RunLength(
        steps or ASSUMED_STEPS,
        (steps or ASSUMED_STEPS) / per_epoch if 0 < per_epoch < math.inf else None,
        int(per_epoch) if 0 < per_epoch < math.inf else None,
    )
    scheduler = getattr(module, "scheduler", None)
    if scheduler is None or not hasattr(module, "optimizer"):
        return RunShape(length.steps or 1, foreign.factors if foreign else [], steps is not None)
    return RunShape(length.steps or 1, _factors(scheduler, length), steps is not None)


def _factors(scheduler: Any, length: RunLength) -> list[float]:
    assert length.steps is not None
    count = min(length.steps, 1000)
    places = [step * length.steps // count for step in range(count)]
    try:
        if isinstance(scheduler, StepSchedule):
            return _shares([scheduler.factor(step, length) for step in places])
        if length.steps > MOST_REPLAYED:
            return []
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
        rates = _replayed(optimizer, build_schedule(scheduler, optimizer, length), length)
    except UserError:  # such as a warmup in epochs, whose length is not known: the fit will say so
        return []
    return _shares([rates[step] for step in places])


def _replayed(optimizer: Optimizer, config: dict[str, Any] | None, length: RunLength) -> list[float]:
    return next(iter(preview(optimizer, config, length).groups.values()))["lr"]


def foreign_shape(trainer: Trainer, index: int) -> RunShape | None:
    """Replay the schedule that a module has built for itself; the groups of the optimizer stay as they are."""
    optimizer = trainer.optimizers[index]
    config = next((c for c in trainer.lr_scheduler_configs if c.scheduler.optimizer is optimizer), None)
    if config is None:
        return None
    steps = min(int(getattr(config.scheduler, "total_steps", 0) or ASSUMED_STEPS), MOST_REPLAYED)
    per_epoch = trainer.num_training_batches
    length = RunLength(steps, None, int(per_epoch) if per_epoch < math.inf else None)
    kept = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    try:
        rates = _replayed(optimizer, vars(config), length)
    except UserError:
        return None
    finally:
        for group, values in zip(optimizer.param_groups, kept, strict=True):
            group.update(values)
    return RunShape(steps, _shares(rates[: steps - 1 or 1]))


def _shares(factors: list[float]) -> list[float]:
    highest = max(factors)
    flat = highest <= 0 or min(factors) == highest
    return [] if flat else [factor / highest for factor in factors]
