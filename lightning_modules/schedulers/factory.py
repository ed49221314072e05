"""What a schedule is in a config: a recipe, built once the optimizer and the length of the run are there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch.optim import Optimizer

from lightning_modules.schedulers.run_length import RunLength


class ScheduleFactory(ABC):
    """A schedule without its optimizer and its length: both are given to `build`, when the trainer knows them."""

    @abstractmethod
    def build(self, optimizer: Optimizer, run_length: RunLength) -> dict[str, Any]:
        """Return Lightning's `lr_scheduler` config: the scheduler with its interval, frequency and monitor."""
