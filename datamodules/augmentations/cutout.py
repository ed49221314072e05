"""Cutout: a square of every training image is painted over, at a place that (seed, epoch, image) decide."""

import torch
from torch import Tensor

from datamodules.augmentations.base import Augmentation
from foundation.counter_random import mix, random_below

_PLACE_Y, _PLACE_X = 5, 6  # streams of random numbers, after those of CropFlip


class Cutout(Augmentation):
    """Paint over a square with its centre anywhere in the image, so that some of it may lie outside.

    Args:
        size: Side of the square in pixels, ≥ 1; at 2 · the image's side or more little of it is left.
        fill: Grey value of the square, in [0, 255]. The paper cuts out of normalised images, so that the square has
            the mean colour; of the usual data sets 128 is close to it.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> white = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
        >>> Cutout(size=2, fill=0)(white, torch.tensor([4]), seed=0, epoch=0).unique()
        tensor([  0, 255], dtype=torch.uint8)

    Reference:
        T. DeVries, G. W. Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017.
    """

    def __init__(self, size: int = 8, fill: int = 128) -> None:
        if size < 1:
            raise ValueError(f"size must be ≥ 1, got {size}.")
        if not 0 <= fill <= 255:
            raise ValueError(f"fill must be in [0, 255], got {fill}.")
        self.size, self.fill = size, fill

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Paint over a square of each image."""
        height, width = images.shape[-2:]
        inside_y = self._covered(random_below(height, mix(seed, epoch, _PLACE_Y), rows), height)
        inside_x = self._covered(random_below(width, mix(seed, epoch, _PLACE_X), rows), width)
        square = (inside_y.unsqueeze(2) & inside_x.unsqueeze(1)).unsqueeze(3)
        return images.permute(0, 2, 3, 1).masked_fill(square, self.fill).permute(0, 3, 1, 2)

    def _covered(self, centres: Tensor, length: int) -> Tensor:
        """Which places along a side the square covers: from ``centre − size // 2`` on, ``size`` of them."""
        distance = torch.arange(length, device=centres.device) - (centres - self.size // 2).unsqueeze(1)
        return (distance >= 0) & (distance < self.size)
