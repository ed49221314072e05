"""Tables: rows of numbers, each with a class or a number to predict."""

import math
from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import Batch, ImageDataset, Images
from datamodules.memory.normalisation import Statistics
from datamodules.memory.split import stratified_split
from foundation.counter_random import mix

_SPLIT = 5
_TEST_SEED = 0  # the same test rows for everyone, whatever the run's seeds: nothing may be tuned on them


class Table(NamedTuple):
    """Rows and what is to be predicted of them.

    Args:
        inputs: float32 ``(N, F)``, finite.
        targets: int64 ``(N,)`` classes, or float32 ``(N,)`` numbers.
    """

    inputs: Tensor
    targets: Tensor


class TableDataModule(ImageDataModule):
    """Rows of F numbers; a subclass says where they come from.

    A row is held as an image of one pixel with F channels, so that order, seeds, splits and resuming are those of
    :class:`~datamodules.memory.data_module.ImageDataModule`. The module gets ``(inputs float32 (B, F), targets (B,))``,
    the inputs with mean 0 and standard deviation 1 over the training rows.

    Args:
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`; an augmentation has nothing to turn here.
    """

    image_size: ClassVar[tuple[int, int]] = (1, 1)  # type: ignore[misc]
    test_share: ClassVar[float] = 0.2
    mixable = False
    resizable = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    @abstractmethod
    def table(self) -> Table:
        """All rows."""

    def training_images(self) -> Images:
        """The rows that are not for the test."""
        return self._part(test=False)

    def test_images(self) -> Images:
        """The test rows."""
        return self._part(test=True)

    def _part(self, test: bool) -> Images:
        inputs, targets = self.table()
        rows = self._rows_apart(targets, self.test_share, _TEST_SEED)[int(test)]
        return Images(inputs[rows][:, None, None, :], targets[rows])

    def _rows_apart(self, targets: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
        if targets.is_floating_point():
            return random_split(len(targets), share, seed)
        return stratified_split(targets, share, seed, self.class_names)

    def open(self, stage: str) -> None:
        """Open the test rows for ``test`` and ``predict``, the others, split for validation, otherwise."""
        if stage in ("test", "predict"):
            self.test_set = ImageDataset(self.test_images())
            return
        rows = self.training_images()
        train, val = self._rows_apart(rows.targets, self.val_share, self.split_seed)
        self.train_set, self.val_set = ImageDataset(rows, train), ImageDataset(rows, val)

    def data_statistics(self) -> Statistics:
        """Mean and standard deviation of each column over the training rows; a constant column has 1."""
        rows = self.training_images().pixels.flatten(1).double()
        std = rows.std(0, correction=0)
        return Statistics(tuple(rows.mean(0).tolist()), tuple(std.where(std > 0, 1).tolist()))

    def prepare_batch(self, batch: Batch, training: bool, epoch: int = 0) -> tuple[Tensor, Tensor]:
        """Standardise the columns.

        Shape:
            rows ``(B, F, 1, 1)``, targets ``(B,)``, numbers ``(B,)`` → ``(B, F)``, ``(B,)``.
        """
        inputs, targets, _ = batch
        mean, std = (torch.tensor(values, device=inputs.device) for values in self.statistics)
        return (inputs.flatten(1) - mean) / std, targets


class NumberTable(TableDataModule):
    """A table whose targets are numbers: one output, no classes."""

    class_names: ClassVar[list[str]] = ["number"]  # type: ignore[misc]

    @property
    def target_statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of the training targets: for a regressor that works with standardised ones."""
        targets = self.training_images().targets.double()
        return targets.mean().item(), targets.std(correction=0).item()


def random_split(count: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows ``0 … count − 1`` in two sets, ``round(share · count)`` of them in the second, both rising.

    Example:
        >>> first, second = random_split(10, 0.3, seed=0)
        >>> len(first), len(second)
        (7, 3)
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(mix(seed, _SPLIT)))
    chosen = math.floor(share * count + 0.5)
    return order[chosen:].sort().values, order[:chosen].sort().values
