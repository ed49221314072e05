"""Handwritten digits that ship inside scikit-learn: real pictures without a download."""

import torch

from datamodules.in_memory import ImageDataModule
from datamodules.pictures import Pictures
from datamodules.split import stratified_split

_TEST_SEED = 0  # the same test scans for everyone, whatever the run's seeds: nothing may be tuned on them


class DigitsDataModule(ImageDataModule):
    """1,797 scans of handwritten digits, 8 × 8 pixels with values 0 to 16, ten classes.

    A fixed fifth of each class is the test set (359 scans); of the rest ``val_share`` is for validation.

    Args: those of :class:`~datamodules.in_memory.ImageDataModule`.

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

    def training_pictures(self) -> Pictures:
        """Four fifths of each class."""
        return _digits(test=False)

    def test_pictures(self) -> Pictures:
        """One fifth of each class."""
        return _digits(test=True)


def _digits(test: bool) -> Pictures:
    from sklearn.datasets import load_digits  # scikit-learn takes long to import

    bunch = load_digits()
    pixels = torch.from_numpy(bunch.images).to(torch.uint8).unsqueeze(3)
    targets = torch.from_numpy(bunch.target).to(torch.int64)
    rows = stratified_split(targets, 0.2, _TEST_SEED, DigitsDataModule.class_names)[int(test)]
    return Pictures(pixels[rows], targets[rows])
