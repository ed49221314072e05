"""Base classes of data sources for tables: rows of numbers, each with a class or a number to predict."""

from abc import abstractmethod
from typing import NamedTuple

from torch import Tensor

from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import Batch, Images
from datamodules.memory.normalisation import Standardiser, Statistics
from datamodules.memory.split import TEST_SEED, random_split


class Table(NamedTuple):
    """The rows of a table and their targets.

    Args:
        inputs: float32 ``(N, F)``, finite.
        targets: int64 ``(N,)`` classes, or float32 ``(N,)`` numbers.
    """

    inputs: Tensor
    targets: Tensor


class TableDataModule(ImageDataModule):
    """Base class of data sources with rows of F numbers: a subclass defines ``channels`` (F) and ``table()``.

    A row is held as an image of one pixel with F channels, so that order, seeds, splits and resuming are those of
    :class:`~datamodules.memory.data_module.ImageDataModule`. A fifth of the rows (of each class) is the test set. The
    LightningModule gets ``(inputs float32 (B, F), targets (B,))``; the inputs have mean 0 and standard deviation 1 over
    the training rows. Augmentations have no effect.
    """

    image_size = (1, 1)
    test_share = 0.2
    mixable = False
    resizable = False
    _standardiser: Standardiser | None = None

    @abstractmethod
    def table(self) -> Table:
        """Return all rows."""

    def training_images(self) -> Images:
        """Return the rows that are not in the test set."""
        return self._images(test=False)

    def test_images(self) -> Images:
        """Return the test rows."""
        return self._images(test=True)

    def _images(self, test: bool) -> Images:
        inputs, targets = self.table()
        return Images(inputs[:, None, None, :], targets).select(self.split_off_test(targets)[int(test)])

    def split_off_test(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows for training and validation, and those of the test set."""
        return self.split_rows(targets, self.test_share, TEST_SEED)

    def split_rows(self, targets: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
        """Split classes stratified, numbers at random."""
        if targets.is_floating_point():
            return random_split(len(targets), share, seed)
        return super().split_rows(targets, share, seed)

    def data_statistics(self) -> Statistics:
        """Return mean and standard deviation of each column over the training rows; 1 for a constant column."""
        rows = self.training_images().pixels.flatten(1).double()
        std = rows.std(0, correction=0)
        return Statistics(tuple(rows.mean(0).tolist()), tuple(std.where(std > 0, 1).tolist()))

    def prepare_batch(self, batch: Batch, training: bool, epoch: int = 0) -> tuple[Tensor, Tensor]:
        """Standardise the columns.

        Shape:
            rows ``(B, F, 1, 1)``, targets ``(B,)``, row numbers ``(B,)`` → ``(B, F)``, ``(B,)``.
        """
        inputs, targets, _ = batch
        if self._standardiser is None or self._standardiser.statistics != self.statistics:
            self._standardiser = Standardiser(self.statistics)
        return self._standardiser(inputs.flatten(1)), targets


class NumberTable(TableDataModule):
    """A table whose targets are numbers: one output, no classes."""

    class_names = ["number"]  # noqa: RUF012

    @property
    def target_statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of the training targets, for a regressor that standardises them."""
        targets = self.training_images().targets.double()
        return targets.mean().item(), targets.std(correction=0).item()
