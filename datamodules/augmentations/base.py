"""Base class of augmentations, which transform a whole batch on its device; and a chain of several.

Every random choice is a function of (seed, epoch, image), see `foundation/counter_random.py`, so that a resumed run
repeats it. Each kind of choice uses a random stream of its own number, so that no two choices are correlated.
"""

import copy
from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from datamodules.augmentations.draws import EpochDraws


class Augmentation(ABC):
    """Base class of augmentations: define ``__call__`` in a subclass, and name the class in a config.

    Example:
        >>> class Invert(Augmentation):
        ...     def __call__(self, images, rows, seed, epoch):
        ...         return 255 - images
    """

    mixes: bool = False
    """Whether `mix` mixes images, so that targets become soft."""

    keeps_size: bool = True
    """Whether images keep their size."""

    crops: bool = False
    """Whether images that are stored larger than the network takes them are cut to its size here, and not before."""

    only_moves_pixels: bool = False
    """Whether every value of a result is one of the image's (crop, flip), or 0 where there is none (zero padding).

    Masks are then moved like their images. Any other augmentation of masks needs a `with_masks` of its own.
    """

    @property
    def fits_masks(self) -> bool:
        """Whether `with_masks` gives masks that fit."""
        return self.only_moves_pixels or type(self).with_masks is not Augmentation.with_masks

    def check_targets(self, data: str, mixable: bool, resizable: bool, masks: bool = False) -> None:
        """Raise ValueError if the targets of a data module (its class name) do not allow this augmentation."""
        name = type(self).__name__
        if self.mixes and not mixable:
            raise ValueError(
                f"augmentation: {name} mixes images, which the targets of {data} do not allow: MixUp and CutMix are "
                "for images with classes or labels."
            )
        if not self.keeps_size and not resizable:
            raise ValueError(
                f"augmentation: {name} changes the size of images, and the targets of {data} would no longer fit."
            )
        if masks and not self.fits_masks:
            raise ValueError(
                f"augmentation: {name} changes values, and would paint them into the masks of {data} as class numbers. "
                "If it only moves pixels, it says so with only_moves_pixels = True; else it needs its own with_masks."
            )

    def over(self, epochs: float | None) -> "Augmentation":
        """Return the augmentation for a run of this length; by default itself, because it does not depend on it.

        Args:
            epochs: Length of the run; infinite in a trial of its beginning, None if the run has no known end.
        """
        return self

    def for_samples(self, samples: int) -> "Augmentation":
        """Return the augmentation for images whose row numbers are below ``samples``; by default itself.

        One that chooses at random returns a copy that draws for all images at once (`draws.py`).
        """
        return self

    def for_size(self, size: tuple[int, int]) -> "Augmentation":
        """Return the augmentation for a network that takes images of this height and width; by default itself."""
        return self

    def mix(self, images: Tensor, targets: Tensor, rows: Tensor, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Mix images of a batch after they were normalised; by default does nothing.

        Args:
            images: Normalised images.
            targets: Floating-point targets; classes as probabilities ``(B, K)``.
            rows: See ``__call__``.
            seed: See ``__call__``.
            epoch: See ``__call__``.
        """
        return images, targets

    def with_masks(
        self, images: Tensor, masks: Tensor, rows: Tensor, seed: int, epoch: int, ignored: int
    ) -> tuple[Tensor, Tensor]:
        """Augment images and move their masks with them; by default as an additional channel.

        Args:
            images: See ``__call__``.
            masks: Class numbers ``(B, H, W)`` uint8.
            rows: See ``__call__``.
            seed: See ``__call__``.
            epoch: See ``__call__``.
            ignored: Class number of the places for which the image has no pixel.
        """
        marker = torch.full_like(masks, 255).unsqueeze(1)  # 0 where the augmentation pads
        both = torch.cat([images, masks.unsqueeze(1), marker], dim=1).contiguous(memory_format=torch.channels_last)
        both = self(both, rows, seed, epoch)
        return both[:, :-2], both[:, -2].masked_fill(both[:, -1] == 0, ignored)

    @abstractmethod
    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8, channels_last in memory; must not be changed in place.
            rows: Numbers that identify the images.
            seed: Seed of the run.
            epoch: From 0.

        Shape:
            images ``(B, C, H, W)`` uint8, rows ``(B,)`` int64 → ``(B, C, H', W')`` uint8.
        """


class RandomAugmentation(Augmentation):
    """Base class of augmentations with random choices, which `draws` looks up."""

    draws = EpochDraws()
    """Draws for each batch, until the number of images is known."""

    def for_samples(self, samples: int) -> Self:
        """Return a copy that draws for all images at once."""
        known = copy.copy(self)
        known.draws = EpochDraws(samples)
        return known


class Chain(Augmentation):
    """Several augmentations, one after the other.

    Args:
        steps: The augmentations, in the order in which they are applied.

    Example:
        >>> import torch
        >>> from datamodules import CropFlip, Cutout
        >>> chain = Chain([CropFlip(padding=1), Cutout(size=2)])
        >>> chain(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.arange(2), seed=0, epoch=0).shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, steps: list[Augmentation]) -> None:
        self.steps = steps

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Apply the steps in order."""
        for step in self.steps:
            images = step(images, rows, seed, epoch)
        return images

    @property
    def mixes(self) -> bool:  # type: ignore[override]
        """Whether any step mixes images."""
        return any(step.mixes for step in self.steps)

    @property
    def crops(self) -> bool:  # type: ignore[override]
        """Whether any step does."""
        return any(step.crops for step in self.steps)

    def for_size(self, size: tuple[int, int]) -> "Chain":
        """Return the chain of the steps for this size."""
        return Chain([step.for_size(size) for step in self.steps])

    @property
    def keeps_size(self) -> bool:  # type: ignore[override]
        """Whether all steps keep the size."""
        return all(step.keeps_size for step in self.steps)

    def over(self, epochs: float | None) -> "Chain":
        """Return the chain of the steps for a run of this length."""
        return Chain([step.over(epochs) for step in self.steps])

    def for_samples(self, samples: int) -> "Chain":
        """Return the chain of the steps for so many images."""
        return Chain([step.for_samples(samples) for step in self.steps])

    @property
    def fits_masks(self) -> bool:
        """Whether all steps do."""
        return all(step.fits_masks for step in self.steps)

    def with_masks(
        self, images: Tensor, masks: Tensor, rows: Tensor, seed: int, epoch: int, ignored: int
    ) -> tuple[Tensor, Tensor]:
        """Let each step augment images and masks, in order."""
        for step in self.steps:
            images, masks = step.with_masks(images, masks, rows, seed, epoch, ignored)
        return images, masks

    def mix(self, images: Tensor, targets: Tensor, rows: Tensor, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Let each step mix, in order."""
        for step in self.steps:
            images, targets = step.mix(images, targets, rows, seed, epoch)
        return images, targets
