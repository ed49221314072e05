"""Handwritten digits that are bundled with scikit-learn: real images without a download, also in imbalanced numbers."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import Images
from datamodules.memory.split import TEST_SEED, stratified_split
from foundation.argument_checks import require_between


class DigitsDataModule(ImageDataModule):
    """1,797 scans of handwritten digits, 8 × 8 pixels with values 0 to 16, ten classes.

    A fixed fifth of each class is the test set (359 scans); ``val_share`` of the rest is for validation.

    Args:
        size: Height and width, ≥ 8. Above 8 the scans are enlarged (bilinear) and their values scaled to 0 to 255:
            smooth grey images, e.g. for generative networks.
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
        require_between("size", size, 8)
        self.image_size = (size, size)
        self.white = 16 if size == 8 else 255

    def training_images(self) -> Images:
        """Return four fifths of each class."""
        return self._images(test=False)

    def test_images(self) -> Images:
        """Return one fifth of each class."""
        return self._images(test=True)

    def _images(self, test: bool) -> Images:
        rows = torch.from_numpy(np.loadtxt(_csv_file(), delimiter=",", dtype=np.uint8))  # 64 pixels and the class
        images = Images(rows[:, :-1].reshape(-1, 8, 8, 1), rows[:, -1].to(torch.int64))
        parts = stratified_split(images.targets, 0.2, TEST_SEED, DigitsDataModule.class_names)
        return enlarged(images.select(parts[int(test)]), self.image_size[0])


def enlarged(images: Images, size: int) -> Images:
    """Resize scans and scale their values to 0 to 255; return scans that have the size unchanged."""
    if size == images.pixels.shape[1]:
        return images
    planes = images.pixels.permute(0, 3, 1, 2).float() * (255 / 16)
    large = F.interpolate(planes, size=(size, size), mode="bilinear", align_corners=False)
    return Images(large.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous(), images.targets)


def _csv_file() -> Path:
    """Find the file that scikit-learn's `load_digits` reads; importing scikit-learn takes longer than training."""
    found = find_spec("sklearn")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")


VALIDATION, TEST = 30, 34  # scans of each class


class ImbalancedDigitsDataModule(DigitsDataModule):
    r"""Digits of which class c has $n_c = \text{round}(n_0\, r^{-c/9})$ training scans: 0 is common, 9 is rare.

    Validation (30 scans of each class) and test (34 of each) are balanced, so that accuracy on them is balanced
    accuracy: the mean of the classes' recalls.

    Args:
        ratio: r in [1, 200], ratio of the most common class to the rarest; 1 is balanced. Above 100 the rarest class
            has one or two scans.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`; ``val_share`` has no effect.

    Raises:
        ValueError: If ``ratio`` is outside its range.

    Example:
        >>> data = ImbalancedDigitsDataModule(ratio=10)
        >>> torch.bincount(data.training_images().targets).tolist()
        [109, 84, 65, 51, 39, 30, 23, 18, 14, 11]
    """

    def __init__(self, ratio: float = 100.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_between("ratio", ratio, 1, 200)
        self.ratio = ratio

    def training_images(self) -> Images:
        """Return n_c scans of each class, after those for validation."""
        images = super().training_images()
        by_class = _rows_by_class(images.targets)
        largest = min(len(rows) for rows in by_class) - VALIDATION
        counts = [round(largest * self.ratio ** (-c / (len(by_class) - 1))) for c in range(len(by_class))]
        chosen = [rows[VALIDATION : VALIDATION + count] for rows, count in zip(by_class, counts, strict=True)]
        return images.select(torch.cat(chosen))

    def validation_images(self) -> Images:
        """Return the first scans of each class of the training set."""
        return _first_of_each_class(super().training_images(), VALIDATION)

    def test_images(self) -> Images:
        """Return the first scans of each class of the test set."""
        return _first_of_each_class(super().test_images(), TEST)


def _rows_by_class(targets: Tensor) -> list[Tensor]:
    return [(targets == c).nonzero().flatten() for c in range(int(targets.max()) + 1)]


def _first_of_each_class(images: Images, count: int) -> Images:
    return images.select(torch.cat([rows[:count] for rows in _rows_by_class(images.targets)]))
