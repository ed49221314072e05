"""Cutout: a square at a random place of every training image is painted over."""

from functools import partial

import torch
from torch import Tensor

from datamodules.augmentations.base import RandomAugmentation
from foundation.argument_checks import require_between
from foundation.counter_random import mix, random_below

_PLACE_Y, _PLACE_X = 5, 6  # random streams, after those of CropFlip


class Cutout(RandomAugmentation):
    """Paint over a square whose centre lies anywhere in the image, so that a part of it may lie outside.

    Args:
        size: Side of the square in pixels, ≥ 1; from twice the image's side on it covers nearly all of the image.
        fill: Grey value of the square, in [0, 255]. The paper cuts from normalised images, so that the square has
            the mean colour; for common data sets 128 is close to it.

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
        require_between("size", size, 1)
        require_between("fill", fill, 0, 255)
        self.size, self.fill = size, fill
        self._masks: dict[tuple[int, torch.device], Tensor] = {}

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Paint over a square of each image."""
        square = self._square(images, rows, seed, epoch).unsqueeze(3)
        return images.permute(0, 2, 3, 1).masked_fill(square, self.fill).permute(0, 3, 1, 2)

    def with_masks(
        self, images: Tensor, masks: Tensor, rows: Tensor, seed: int, epoch: int, ignored: int
    ) -> tuple[Tensor, Tensor]:
        """Paint over a square of each image; what was there is not asked for."""
        square = self._square(images, rows, seed, epoch)
        return self(images, rows, seed, epoch), masks.masked_fill(square, ignored)

    def _square(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Mark the square of each image, ``(B, H, W)`` bool."""
        height, width = images.shape[-2:]
        draw = partial(self.centres, height=height, width=width, seed=seed, epoch=epoch)
        down, across = self.draws("centres", draw, (seed, epoch, height, width), rows)
        inside_y = self._covered(height, rows.device).index_select(0, down)
        inside_x = self._covered(width, rows.device).index_select(0, across)
        return inside_y.unsqueeze(2) & inside_x.unsqueeze(1)

    def centres(self, rows: Tensor, height: int, width: int, seed: int, epoch: int) -> Tensor:
        """Return the centre of each square, down and across, int64 ``(2, B)``."""
        down = random_below(height, mix(seed, epoch, _PLACE_Y), rows)
        return torch.stack([down, random_below(width, mix(seed, epoch, _PLACE_X), rows)])

    def _covered(self, length: int, device: torch.device) -> Tensor:
        """Mark for each centre the ``size`` places along a side that the square covers: from centre − size // 2 on."""
        if (length, device) not in self._masks:
            places = torch.arange(length, device=device)
            distance = places - (places - self.size // 2).unsqueeze(1)
            self._masks[length, device] = (distance >= 0) & (distance < self.size)
        return self._masks[length, device]
