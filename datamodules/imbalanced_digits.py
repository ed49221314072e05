"""The handwritten digits with rare classes: for losses that are meant for them."""

from typing import Any

import torch
from torch import Tensor

from datamodules.digits import DigitsDataModule
from datamodules.pictures import Pictures

VALIDATION, TEST = 30, 34  # scans of each class


class ImbalancedDigitsDataModule(DigitsDataModule):
    r"""Digits of which class c has $n_c = \text{round}(n_0\, r^{-c/9})$ training scans: 0 is common, 9 is rare.

    Validation (30 of each class) and test (34 of each) are balanced, so that accuracy on them is balanced accuracy: the
    mean of the classes' recalls.

    Args:
        ratio: r ≥ 1, of the commonest class to the rarest; 1 is balanced. Above 100 a class has a scan or two.
        kwargs: See :class:`~datamodules.in_memory.ImageDataModule`; ``val_share`` has no effect.

    Raises:
        ValueError: If ``ratio`` is below 1, or so large that a class has no scan left.

    Example:
        >>> data = ImbalancedDigitsDataModule(ratio=10)
        >>> torch.bincount(data.training_pictures().targets).tolist()
        [109, 84, 65, 51, 39, 30, 23, 18, 14, 11]
    """

    def __init__(self, ratio: float = 100.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 1 <= ratio <= 200:
            raise ValueError(f"ratio must be in [1, 200], got {ratio:g}.")
        self.ratio = ratio

    def training_pictures(self) -> Pictures:
        """What is left after validation, class by class."""
        return self._rows(super().training_pictures(), validation=False)

    def validation_pictures(self) -> Pictures:
        """The first scans of each class."""
        return self._rows(super().training_pictures(), validation=True)

    def test_pictures(self) -> Pictures:
        """As many of each class."""
        pictures = super().test_pictures()
        return _take(pictures, torch.cat([rows[:TEST] for rows in _by_class(pictures.targets)]))

    def _rows(self, pictures: Pictures, validation: bool) -> Pictures:
        by_class = _by_class(pictures.targets)
        if validation:
            return _take(pictures, torch.cat([rows[:VALIDATION] for rows in by_class]))
        largest = min(len(rows) for rows in by_class) - VALIDATION
        counts = [round(largest * self.ratio ** (-c / (len(by_class) - 1))) for c in range(len(by_class))]
        kept = [rows[VALIDATION : VALIDATION + count] for rows, count in zip(by_class, counts, strict=True)]
        return _take(pictures, torch.cat(kept))


def _by_class(targets: Tensor) -> list[Tensor]:
    return [(targets == c).nonzero().flatten() for c in range(int(targets.max()) + 1)]


def _take(pictures: Pictures, rows: Tensor) -> Pictures:
    return Pictures(pictures.pixels[rows], pictures.targets[rows])
