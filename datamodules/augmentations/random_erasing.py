"""Random erasing: a rectangle of random size and shape is painted over in some of the images."""

import math
from functools import partial

import torch
from torch import Tensor

from datamodules.augmentations.base import RandomAugmentation
from datamodules.augmentations.draws import below, tried_sides, uniform
from foundation.argument_checks import require_between
from foundation.counter_random import mix

_WHETHER, _AREA, _RATIO, _TOP, _LEFT = 60, 61, 62, 63, 64  # random streams


class RandomErasing(RandomAugmentation):
    """Paint over a rectangle inside the image, in a share of the images.

    The distribution is that of torchvision's ``RandomErasing``: the rectangle has a uniform share of the area and a
    log-uniform ratio of its sides; the first of ten tries that fits the image is taken, at a uniform place.

    Args:
        probability: Share of the images, in [0, 1].
        scale: Smallest and largest share of the area, in (0, 1].
        ratio: Smallest and largest height / width, > 0.
        fill: Grey value, in [0, 255].

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> white = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
        >>> RandomErasing(probability=1.0)(white, torch.tensor([4]), seed=0, epoch=0).unique()
        tensor([128, 255], dtype=torch.uint8)

    Reference:
        Z. Zhong et al., "Random Erasing Data Augmentation", 2017.
    """

    def __init__(
        self,
        probability: float = 0.25,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        fill: int = 128,
    ) -> None:
        require_between("probability", probability, 0, 1)
        require_between("fill", fill, 0, 255)
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"scale must be two ascending numbers in (0, 1], got {list(scale)}.")
        if not 0 < ratio[0] <= ratio[1] < math.inf:
            raise ValueError(f"ratio must be two ascending numbers > 0, got {list(ratio)}.")
        self.probability, self.scale, self.ratio, self.fill = probability, tuple(scale), tuple(ratio), fill

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Paint over a rectangle."""
        inside = self._rectangles(images, rows, seed, epoch).unsqueeze(3)
        return images.permute(0, 2, 3, 1).masked_fill(inside, self.fill).permute(0, 3, 1, 2)

    def with_masks(
        self, images: Tensor, masks: Tensor, rows: Tensor, seed: int, epoch: int, ignored: int
    ) -> tuple[Tensor, Tensor]:
        """Paint over a rectangle of each image; what was there is not asked for."""
        inside = self._rectangles(images, rows, seed, epoch)
        return self(images, rows, seed, epoch), masks.masked_fill(inside, ignored)

    def _rectangles(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Mark the rectangle of each image, ``(B, H, W)`` bool."""
        height, width = images.shape[-2:]
        draw = partial(self.boxes, height=height, width=width, seed=seed, epoch=epoch)
        top, left, h, w = self.draws("boxes", draw, (seed, epoch, height, width), rows).unsqueeze(-1).unbind()
        ys, xs = torch.arange(height, device=rows.device), torch.arange(width, device=rows.device)
        down, across = (ys >= top) & (ys < top + h), (xs >= left) & (xs < left + w)
        return down.unsqueeze(2) & across.unsqueeze(1)

    def boxes(self, rows: Tensor, height: int, width: int, seed: int, epoch: int) -> Tensor:
        """Return top, left, height and width of each rectangle, int64 ``(4, B)``; of height 0 where there is none."""
        keys = mix(seed, epoch, _AREA), mix(seed, epoch, _RATIO)
        heights, widths = tried_sides(height * width, self.scale, self.ratio, keys, rows)
        fits = (heights < height) & (widths < width)
        first = fits.byte().argmax(0, keepdim=True)
        erased = fits.any(0) & (uniform(mix(seed, epoch, _WHETHER), rows) < self.probability)
        h, w = (torch.where(erased, sides.gather(0, first)[0], 0) for sides in (heights, widths))
        top = below(height - h + 1, uniform(mix(seed, epoch, _TOP), rows))
        return torch.stack([top, below(width - w + 1, uniform(mix(seed, epoch, _LEFT), rows)), h, w])
