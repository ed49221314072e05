"""Plan the steps of a run from the number of training images: the batch size, and the number of epochs."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from datamodules.memory.images import Batch, ImageDataset, require_open
from foundation.argument_checks import require_at_least_one

BatchSize = int | Literal["auto"]

STEPS_PER_EPOCH = 20
STEPS = 300
"""Fewest optimizer steps of a planned run: with fewer, a network often stays at chance, whatever its learning rate."""

EPOCHS = 20
CHUNK = 256  # samples that are prepared at a time
SMALLEST, LARGEST = 8, 128
"""Batch sizes that are planned; below 8 images the statistics of batch norm are mostly noise."""


def planned_batch_size(samples: int) -> int:
    """Return the batch size of each process for at least 20 steps an epoch, within [8, 128].

    Args:
        samples: Training samples of each process.

    Example:
        >>> [planned_batch_size(samples) for samples in (5, 100, 260, 100_000)]
        [5, 8, 13, 128]
    """
    return max(1, min(samples, LARGEST, max(SMALLEST, samples // STEPS_PER_EPOCH)))


def planned_epochs(steps: int) -> int:
    """Return the number of epochs of so many optimizer steps: 20, or more for at least 300 steps in all.

    Example:
        >>> planned_epochs(steps=20), planned_epochs(steps=3)
        (20, 100)
    """
    return max(EPOCHS, math.ceil(STEPS / max(1, steps)))


class PlannedSteps(LightningDataModule):
    """Base class of data with training images: plans the batch size and the epochs that a config does not set.

    Args:
        batch_size: Images per batch and process, ≥ 1; ``auto``: planned once the images are known.

    Raises:
        ValueError: The batch size is below 1.
    """

    endless: bool = False
    """Set for trials of the beginning of a run, whose trainer does not know the length of the run."""

    train_set: ImageDataset | None
    val_set: ImageDataset | None
    test_set: ImageDataset | None

    def __init__(self, batch_size: BatchSize) -> None:
        super().__init__()
        if batch_size != "auto":
            require_at_least_one(batch_size=batch_size)
        self._batch_size: int | None = None if batch_size == "auto" else batch_size
        self._plan = ""

    @abstractmethod
    def prepare_batch(self, batch: Batch, training: bool, epoch: int = 0) -> tuple[Tensor, Tensor]:
        """Turn a loaded batch into what the LightningModule gets."""

    @property
    def batch_size(self) -> int:
        """Images per batch and process, as given or planned."""
        if self._batch_size is not None:
            return self._batch_size
        return LARGEST if self.train_set is None else planned_batch_size(len(self.train_set) // self.world()[0])

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        self._batch_size = size

    @property
    def plans_batch_size(self) -> bool:
        """Whether no batch size was given."""
        return self._batch_size is None

    def world(self) -> tuple[int, int]:
        """Return the number of processes, and the rank of this one."""
        return (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)

    def plain_training_batches(self, most: int, device: torch.device) -> Iterator[Tensor]:
        """Yield the inputs of training samples as validation would see them: evenly spaced, the same at each call.

        Args:
            most: Number of samples, at most; all processes get the same.
            device: Where they are needed.
        """
        dataset = require_open(self.train_set, "fit")
        count = min(most, len(dataset))
        for places in (torch.arange(count) * len(dataset) // count).chunk(math.ceil(count / CHUNK)):
            batch = dataset.__getitems__(places.tolist())
            inputs, _ = self.prepare_batch(tuple(part.to(device) for part in batch), training=False)  # type: ignore[arg-type]
            yield self.trainer.precision_plugin.convert_input(inputs) if self.trainer else inputs

    def plan_epochs(self, samples: int, batches: int) -> None:
        """Set the trainer's number of epochs if its config sets no limit; say what was planned.

        Args:
            samples: Training samples of all processes.
            batches: Batches in an epoch.
        """
        trainer: Any = self.trainer
        plans = getattr(trainer, "plans_epochs", False)
        if trainer is None or batches < 1 or not (plans or self.plans_batch_size):
            return
        steps, planned = math.ceil(batches / trainer.accumulate_grad_batches), []
        if self.plans_batch_size:
            planned.append(f"batches of {self.batch_size} (data.batch_size)")
        if plans:
            trainer.fit_loop.max_epochs = planned_epochs(steps)
            planned.append(f"{trainer.max_epochs} epochs (trainer.max_epochs)")
        plan = f"{samples:,} training images: {' and '.join(planned)}, {steps} steps an epoch{_in_all(trainer, steps)}."
        if plan != self._plan:
            self._plan = plan
            rank_zero_info(f"Planned from {plan}")


def _in_all(trainer: Trainer, steps: int) -> str:
    limited = trainer.max_epochs in (None, -1) or trainer.max_steps != -1 or trainer.limit_train_batches != 1.0
    return "" if limited else f", {steps * (trainer.max_epochs or 0):,} in all"
