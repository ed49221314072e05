"""TrivialAugment and RandAugment: random changes of every image, of 14 kinds, with random or given strength."""

from abc import abstractmethod
from functools import partial

import torch
from torch import Tensor

from datamodules.augmentations import photo_kernels as kernels
from datamodules.augmentations.base import RandomAugmentation
from foundation.argument_checks import require_at_least_one, require_between
from foundation.counter_random import mix, random_below

BINS = 31
_KIND, _BIN, _SIGN = 50, 51, 52  # random streams; those of a second change are 3 further

KERNELS: dict[str, kernels.Kernel] = {
    "identity": kernels.identity,
    "shear_x": kernels.shear_x,
    "shear_y": kernels.shear_y,
    "translate_x": kernels.translate_x,
    "translate_y": kernels.translate_y,
    "rotate": kernels.rotate,
    "brightness": kernels.brightness,
    "color": kernels.saturation,
    "contrast": kernels.contrast,
    "sharpness": kernels.sharpness,
    "posterize": kernels.posterize,
    "solarize": kernels.solarize,
    "auto_contrast": kernels.auto_contrast,
    "equalize": kernels.equalize,
}
"""The kinds of changes, in torchvision's order."""

FACTORS = ("brightness", "color", "contrast", "sharpness")  # 1 is no change


class RandomChanges(RandomAugmentation):
    """Base class: apply random changes to each image, one after the other.

    Args:
        count: Changes of an image, ≥ 1.
        strength: Its bin, in [0, 30]; None for a random one.
    """

    def __init__(self, count: int, strength: int | None) -> None:
        require_at_least_one(count=count)
        if strength is not None:
            require_between("strength", strength, 0, BINS - 1)
        self.count, self.strength = count, strength

    @abstractmethod
    def largest(self, kind: str, height: int, width: int) -> float:
        """Return the strength of the last bin."""

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Change a batch."""
        images, (height, width) = kernels.copied(images), images.shape[-2:]
        for turn in range(self.count):
            draw = partial(self.choices, turn=turn, seed=seed, epoch=epoch)
            kind, strength, sign = self.draws(f"choices {turn}", draw, (seed, epoch), rows).unbind()
            for number, (name, kernel) in enumerate(KERNELS.items()):
                if number:
                    values = self.values(name, strength, sign, height, width)
                    images = kernels.apply_where(kind == number, kernel, images, values)
        return images

    def choices(self, rows: Tensor, turn: int, seed: int, epoch: int) -> Tensor:
        """Return kind, bin of the strength, and sign (0 or 1) of each image's change, int64 ``(3, B)``."""
        first = 3 * turn
        kind = random_below(len(KERNELS), mix(seed, epoch, _KIND + first), rows)
        strength = random_below(BINS, mix(seed, epoch, _BIN + first), rows)
        strength = strength if self.strength is None else torch.full_like(strength, self.strength)
        return torch.stack([kind, strength, random_below(2, mix(seed, epoch, _SIGN + first), rows)])

    def values(self, name: str, strength: Tensor, sign: Tensor, height: int, width: int) -> Tensor:
        """Return the argument of a kernel for each image, float32 ``(B,)``."""
        share = strength.float() / (BINS - 1)
        largest = self.largest(name, height, width)
        if name == "posterize":
            return (8 - share * largest).round()
        if name == "solarize":
            return 1 - share
        signed = share * largest * (1 - 2 * sign)
        return 1 + signed if name in FACTORS else signed


class TrivialAugment(RandomChanges):
    """Apply one random change of random strength to each image: no setting has to be found.

    The distribution is that of torchvision's ``TrivialAugmentWide``: 14 kinds of changes (shear, shift, rotation,
    brightness, colour, contrast, sharpness, fewer bits, solarisation, stretched and equalised histogram, none), 31
    strengths, both signs. Places without a pixel are black; pixels are the nearest.

    Example:
        >>> images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
        >>> TrivialAugment()(images, torch.tensor([4, 9]), seed=0, epoch=0).shape
        torch.Size([2, 3, 8, 8])

    Reference:
        S. G. Müller, F. Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", 2021.
    """

    def __init__(self) -> None:
        super().__init__(count=1, strength=None)

    def largest(self, kind: str, height: int, width: int) -> float:
        """Return the strength of the last bin."""
        special = {"translate_x": 32.0, "translate_y": 32.0, "rotate": 135.0, "posterize": 6.0}
        return special.get(kind, 0.99)


class RandAugment(RandomChanges):
    """Apply some random changes of a given strength to each image.

    The distribution is that of torchvision's ``RandAugment``; the kinds are those of :class:`TrivialAugment`.

    Args:
        count: Changes of an image, ≥ 1.
        strength: In [0, 30].

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
        >>> RandAugment()(images, torch.tensor([4, 9]), seed=0, epoch=0).shape
        torch.Size([2, 3, 8, 8])

    Reference:
        E. D. Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", 2020.
    """

    def __init__(self, count: int = 2, strength: int = 9) -> None:
        super().__init__(count, strength)

    def largest(self, kind: str, height: int, width: int) -> float:
        """Return the strength of the last bin."""
        shift = 150.0 / 331.0
        special = {"shear_x": 0.3, "shear_y": 0.3, "translate_x": shift * width, "translate_y": shift * height}
        special |= {"rotate": 30.0, "posterize": 4.0}
        return special.get(kind, 0.9)
