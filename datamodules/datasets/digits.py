"""Handwritten digits that ship inside scikit-learn: real images without a download."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import Images
from datamodules.memory.split import stratified_split

_TEST_SEED = 0  # the same test scans for everyone, whatever the run's seeds: nothing may be tuned on them


class DigitsDataModule(ImageDataModule):
    """1,797 scans of handwritten digits, 8 × 8 pixels with values 0 to 16, ten classes.

    A fixed fifth of each class is the test set (359 scans); of the rest ``val_share`` is for validation.

    Args:
        size: Height and width, ≥ 8. Above 8 the scans are enlarged (bilinear), and their values stretched to 0 to 255:
            smooth grey images, for what makes images.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> data = DigitsDataModule(batch_size=50)
        >>> data.setup("fit")
        >>> images, targets = data.prepare_batch(next(iter(data.train_dataloader())), training=True)
        >>> images.shape, images.dtype, data.num_classes
        (torch.Size([50, 1, 8, 8]), torch.float32, 10)

    Reference:
        E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """

    class_names = [str(digit) for digit in range(10)]  # noqa: RUF012
    image_size = (8, 8)
    channels = 1
    white = 16

    def __init__(self, size: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if size < 8:
            raise ValueError(f"size must be ≥ 8, got {size}.")
        self.image_size = (size, size)
        self.white = 16 if size == 8 else 255

    def training_images(self) -> Images:
        """Four fifths of each class."""
        return enlarged(_digits(test=False), self.image_size[0])

    def test_images(self) -> Images:
        """One fifth of each class."""
        return enlarged(_digits(test=True), self.image_size[0])


def enlarged(images: Images, size: int) -> Images:
    """Scans at another size, with values 0 to 255; at their own size as they are."""
    if size == images.pixels.shape[1]:
        return images
    planes = images.pixels.permute(0, 3, 1, 2).float() * (255 / 16)
    large = F.interpolate(planes, size=(size, size), mode="bilinear", align_corners=False)
    return Images(large.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous(), images.targets)


def _digits(test: bool) -> Images:
    table = torch.from_numpy(np.loadtxt(_table(), delimiter=",", dtype=np.uint8))  # a row: 64 pixels, and the class
    pixels, targets = table[:, :-1].reshape(-1, 8, 8, 1), table[:, -1].to(torch.int64)
    rows = stratified_split(targets, 0.2, _TEST_SEED, DigitsDataModule.class_names)[int(test)]
    return Images(pixels[rows], targets[rows])


def _table() -> Path:
    """The file in scikit-learn that `load_digits` reads; importing scikit-learn takes longer than to train on it."""
    found = find_spec("sklearn")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")


VALIDATION, TEST = 30, 34  # scans of each class


class ImbalancedDigitsDataModule(DigitsDataModule):
    r"""Digits of which class c has $n_c = \text{round}(n_0\, r^{-c/9})$ training scans: 0 is common, 9 is rare.

    Validation (30 of each class) and test (34 of each) are balanced, so that accuracy on them is balanced accuracy: the
    mean of the classes' recalls.

    Args:
        ratio: r ≥ 1, of the commonest class to the rarest; 1 is balanced. Above 100 a class has a scan or two.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`; ``val_share`` has no effect.

    Raises:
        ValueError: If ``ratio`` is below 1, or so large that a class has no scan left.

    Example:
        >>> data = ImbalancedDigitsDataModule(ratio=10)
        >>> torch.bincount(data.training_images().targets).tolist()
        [109, 84, 65, 51, 39, 30, 23, 18, 14, 11]
    """

    def __init__(self, ratio: float = 100.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 1 <= ratio <= 200:
            raise ValueError(f"ratio must be in [1, 200], got {ratio:g}.")
        self.ratio = ratio

    def training_images(self) -> Images:
        """What is left after validation, class by class."""
        return self._rows(super().training_images(), validation=False)

    def validation_images(self) -> Images:
        """The first scans of each class."""
        return self._rows(super().training_images(), validation=True)

    def test_images(self) -> Images:
        """As many of each class."""
        images = super().test_images()
        return _take(images, torch.cat([rows[:TEST] for rows in _by_class(images.targets)]))

    def _rows(self, images: Images, validation: bool) -> Images:
        by_class = _by_class(images.targets)
        if validation:
            return _take(images, torch.cat([rows[:VALIDATION] for rows in by_class]))
        largest = min(len(rows) for rows in by_class) - VALIDATION
        counts = [round(largest * self.ratio ** (-c / (len(by_class) - 1))) for c in range(len(by_class))]
        kept = [rows[VALIDATION : VALIDATION + count] for rows, count in zip(by_class, counts, strict=True)]
        return _take(images, torch.cat(kept))


def _by_class(targets: Tensor) -> list[Tensor]:
    return [(targets == c).nonzero().flatten() for c in range(int(targets.max()) + 1)]


def _take(images: Images, rows: Tensor) -> Images:
    return Images(images.pixels[rows], images.targets[rows])
