"""Build the schedule of a run from a `ScheduleFactory` or a torch scheduler class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from lightning_modules.schedulers.run_length import RunLength
from lightning_modules.schedulers.step_schedule import ScheduleFactory
from lightning_modules.schedulers.torch_class import build_torch_class


def build_schedule(
    scheduler: ScheduleFactory | Callable[..., Any] | None, optimizer: Optimizer, run_length: RunLength
) -> dict[str, Any] | None:
    """Build the schedule of a run.

    Args:
        scheduler: A schedule factory; a torch scheduler class with its arguments but without its optimizer (a
            `functools.partial`, as LightningCLI gives it); or `None` for a constant rate.
        optimizer: The optimizer.
        run_length: The length of the run.

    Returns:
        Lightning's `lr_scheduler` config, or `None`.

    Example:
        >>> import torch
        >>> from lightning_modules.schedulers import Cosine
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> config = build_schedule(Cosine(), optimizer, RunLength(steps=100, epochs=10, steps_per_epoch=10))
        >>> config["interval"], config["scheduler"].get_last_lr()
        ('step', [0.1])
    """
    if scheduler is None:
        return None
    if isinstance(scheduler, ScheduleFactory):
        return scheduler.build(optimizer, run_length)
    return build_torch_class(scheduler, optimizer, run_length)
