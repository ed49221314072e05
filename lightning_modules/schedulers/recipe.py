"""What a schedule is in a config: a recipe, built once the optimizer and the length of the run are there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from lightning_modules.schedulers.horizon import Horizon
from lightning_modules.schedulers.torch_class import build_torch_class

__all__ = ["Horizon", "Recipe", "build_schedule"]


class Recipe(ABC):
    """A schedule without its optimizer and its length: both are given to `build`, when the trainer knows them."""

    @abstractmethod
    def build(self, optimizer: Optimizer, horizon: Horizon) -> dict[str, Any]:
        """Return Lightning's `lr_scheduler` config: the scheduler with its interval, frequency and monitor."""


def build_schedule(
    scheduler: Recipe | Callable[..., Any] | None, optimizer: Optimizer, horizon: Horizon
) -> dict[str, Any] | None:
    """Build the schedule of a run, whatever way it was chosen.

    Args:
        scheduler: a recipe; a torch scheduler class with its arguments but without its optimizer
            (`functools.partial`, which is how LightningCLI hands it over); or `None` for a constant rate.
        optimizer: the optimizer to be scheduled.
        horizon: the length of the run.

    Returns:
        Lightning's `lr_scheduler` config, or `None`.

    Example:
        >>> import torch
        >>> from lightning_modules.schedulers import Cosine
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> config = build_schedule(Cosine(), optimizer, Horizon(steps=100, epochs=10, steps_per_epoch=10))
        >>> config["interval"], config["scheduler"].get_last_lr()
        ('step', [0.1])
    """
    if scheduler is None:
        return None
    if isinstance(scheduler, Recipe):
        return scheduler.build(optimizer, horizon)
    return build_torch_class(scheduler, optimizer, horizon)
