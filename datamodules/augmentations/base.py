"""Batched augmentation on the device; every random choice is a pure function of (seed, epoch, image)."""

from abc import ABC, abstractmethod

from torch import Tensor


class Augmentation(ABC):
    """What a training batch goes through before it is normalised: subclass it, and name the class in a config.

    Example:
        >>> class Invert(Augmentation):
        ...     def __call__(self, images, rows, seed, epoch):
        ...         return 255 - images
    """

    mixes: bool = False
    """Whether `mix` does anything, so that targets become soft."""

    keeps_size: bool = True
    """Whether images come out as large as they went in."""

    def over(self, epochs: float | None) -> "Augmentation":
        """Return what a run of this length uses; by default the augmentation itself, which does not depend on it.

        Args:
            epochs: Of the run; infinite in a trial that tries its beginning, `None` where it has no known end.
        """
        return self

    def mix(self, images: Tensor, targets: Tensor, rows: Tensor, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Mix images of a batch with one another once they are normalised; by default nothing.

        Args:
            images: Normalised.
            targets: In floating point; classes as shares ``(B, K)``.
            rows: See ``__call__``.
            seed: See ``__call__``.
            epoch: See ``__call__``.
        """
        return images, targets

    @abstractmethod
    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8, channels_last in memory; not to be changed in place.
            rows: Which images these are.
            seed: Of the run.
            epoch: From 0.

        Shape:
            images ``(B, C, H, W)`` uint8, rows ``(B,)`` int64 → ``(B, C, H', W')`` uint8.
        """


class Chain(Augmentation):
    """One augmentation after the other.

    Args:
        steps: In the order in which they are applied.

    Example:
        >>> chain = Chain([CropFlip(padding=1), CropFlip(padding=0)])
        >>> chain(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.arange(2), seed=0, epoch=0).shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, steps: list[Augmentation]) -> None:
        self.steps = steps

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Apply the steps in turn."""
        for step in self.steps:
            images = step(images, rows, seed, epoch)
        return images

    @property
    def mixes(self) -> bool:  # type: ignore[override]
        """Whether one of the steps does."""
        return any(step.mixes for step in self.steps)

    @property
    def keeps_size(self) -> bool:  # type: ignore[override]
        """Whether all of the steps do."""
        return all(step.keeps_size for step in self.steps)

    def over(self, epochs: float | None) -> "Chain":
        """Each step over a run of this length."""
        return Chain([step.over(epochs) for step in self.steps])

    def mix(self, images: Tensor, targets: Tensor, rows: Tensor, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Mix in turn."""
        for step in self.steps:
            images, targets = step.mix(images, targets, rows, seed, epoch)
        return images, targets
