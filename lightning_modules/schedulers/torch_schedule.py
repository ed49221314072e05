"""torch's own scheduler classes, stepped as one says."""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch.cli import LRSchedulerCallable
from torch.optim import Optimizer

from lightning_modules.schedulers.horizon import Horizon
from lightning_modules.schedulers.recipe import Recipe
from lightning_modules.schedulers.torch_class import build_torch_class


class TorchSchedule(Recipe):
    """A torch scheduler class by path, with the interval at which it is stepped.

    Without this recipe a bare torch class is stepped by epoch, OneCycleLR and CyclicLR by optimizer step.

    Args:
        scheduler: a torch scheduler class without its optimizer.
        interval: `step` or `epoch`: what one step of the scheduler, and each of its lengths, is counted in.

    Raises:
        ValueError: the interval is neither.

    Example:
        >>> import functools, torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> halve = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=50)
        >>> TorchSchedule(halve, interval="step").build(optimizer, Horizon(100, 10, 10))["interval"]
        'step'
    """

    def __init__(self, scheduler: LRSchedulerCallable, interval: Literal["step", "epoch"]) -> None:
        if interval not in ("step", "epoch"):
            raise ValueError(f"interval must be step or epoch, got {interval!r}.")
        self.scheduler = scheduler
        self.interval = interval

    def build(self, optimizer: Optimizer, horizon: Horizon) -> dict[str, Any]:
        """Return Lightning's config of the class, stepped at the interval."""
        return build_torch_class(self.scheduler, optimizer, horizon, self.interval)
