"""Start schedules that are built already from another learning rate."""

from typing import Any

from lightning.pytorch import Trainer
from torch.optim import Optimizer

from callbacks.lr_sweep import top_rate

OF_GROUPS = ("lr", "initial_lr", "max_lr", "min_lr")
OF_SCHEDULES = ("base_lrs", "max_lrs", "_last_lr", "targets")


def scale_rates(trainer: Trainer, rate: float, number: int = 0) -> float:
    """Multiply every learning rate of an optimizer and of its schedules, so that the first group's highest is `rate`.

    Schedules are functions of base rates which they have copied: torch's into `base_lrs` (CyclicLR also `max_lrs`,
    OneCycleLR into the groups). Rates that a schedule was given as numbers, such as `eta_min`, stay.

    Args:
        trainer: With optimizers and schedules built, before the first step.
        rate: > 0.
        number: Of the optimizer.

    Returns:
        The factor.
    """
    optimizer = trainer.optimizers[number]
    tops = [schedule.max_lrs[0] for schedule in _schedules(trainer, optimizer) if hasattr(schedule, "max_lrs")]
    factor = rate / max(top_rate(optimizer.param_groups[0]), *tops, 0.0)  # max_lrs are CyclicLR's
    multiply_rates(trainer, factor, number)
    return factor


def multiply_rates(trainer: Trainer, factor: float, number: int = 0) -> None:
    """Multiply every learning rate of an optimizer and of its schedules.

    Args:
        trainer: With optimizers and schedules built, before the first step.
        factor: > 0.
        number: Of the optimizer.
    """
    optimizer = trainer.optimizers[number]
    for group in optimizer.param_groups:
        group.update({key: group[key] * factor for key in OF_GROUPS if key in group})
    for schedule in _schedules(trainer, optimizer):
        _scale(schedule, factor)


def _schedules(trainer: Trainer, optimizer: Optimizer) -> list[Any]:
    schedules = [s for config in trainer.lr_scheduler_configs for s in _nested(config.scheduler)]
    return [schedule for schedule in schedules if schedule.optimizer is optimizer]


def _nested(schedule: Any) -> list[Any]:
    """The schedule and those inside it: warmups, SequentialLR, ChainedScheduler."""
    inside = [getattr(schedule, "inner", None), *getattr(schedule, "_schedulers", [])]
    return [schedule, *(inner for child in inside if child is not None for inner in _nested(child))]


def _scale(schedule: Any, factor: float) -> None:
    for name in OF_SCHEDULES:
        rates = vars(schedule).get(name)
        if isinstance(rates, (list, tuple)):
            setattr(schedule, name, [value * factor for value in rates])
