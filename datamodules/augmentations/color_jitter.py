"""Colour jitter: random brightness, contrast, saturation and hue of every image."""

from functools import partial

import torch
from torch import Tensor

from datamodules.augmentations import photo_kernels as kernels
from datamodules.augmentations.base import RandomAugmentation
from datamodules.augmentations.draws import uniform
from foundation.argument_checks import require_between
from foundation.counter_random import mix, random_bits

_STRENGTH, _ORDER = 30, 40  # random streams, one for each of the four changes
_KERNELS = (kernels.brightness, kernels.contrast, kernels.saturation, kernels.hue)


class ColorJitter(RandomAugmentation):
    """Change brightness, contrast, saturation and hue of each image by random factors, in a random order.

    The distribution is that of torchvision's ``ColorJitter``: each factor is uniform in [max(0, 1 − x), 1 + x], the
    shift of the hue in [−x, x] of the circle.

    Args:
        brightness: x ≥ 0; 0 leaves it out.
        contrast: Likewise.
        saturation: Likewise; without effect on grey images.
        hue: x in [0, 0.5].

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> grey = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
        >>> ColorJitter(0, 0, 0.5, 0.1)(grey, torch.tensor([7]), seed=0, epoch=0).float().sub(100).abs().max() <= 1
        tensor(True)
    """

    def __init__(
        self, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4, hue: float = 0.0
    ) -> None:
        for name, value in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation)):
            require_between(name, value, 0)
        require_between("hue", hue, 0, 0.5)
        self.ranges = (brightness, contrast, saturation, hue)

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Change a batch."""
        strengths = self.draws("strengths", partial(self.strengths, seed=seed, epoch=epoch), (seed, epoch), rows)
        order = self.draws("order", partial(self.order, seed=seed, epoch=epoch), (seed, epoch), rows)
        images = kernels.copied(images)
        used = [number for number, size in enumerate(self.ranges) if size > 0]
        for turn in range(len(_KERNELS) if len(used) > 1 else 1):
            for number in used:
                chosen = order[turn] == number if len(used) > 1 else torch.ones_like(rows, dtype=torch.bool)
                images = kernels.apply_where(chosen, _KERNELS[number], images, strengths[number])
        return images

    def strengths(self, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Return the three factors and the shift of the hue, float32 ``(4, B)``."""
        values = []
        for number, size in enumerate(self.ranges):
            low, high = (-size, size) if number == 3 else (max(0.0, 1 - size), 1 + size)
            values.append(low + (high - low) * uniform(mix(seed, epoch, _STRENGTH + number), rows))
        return torch.stack(values)

    def order(self, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Return which change is the first, second, … of each image, int64 ``(4, B)``."""
        keys = torch.stack([random_bits(mix(seed, epoch, _ORDER + number), rows) for number in range(4)])
        return keys.argsort(0)
