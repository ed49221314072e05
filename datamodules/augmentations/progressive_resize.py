"""Progressive resizing: train on small images in the first epochs, which costs less, and increase their size."""

import copy
from collections.abc import Sequence
from typing import Self

from torch import Tensor
from torchvision.transforms.v2 import functional as F

from datamodules.augmentations.base import Augmentation
from foundation.errors import UserError


class ProgressiveResize(Augmentation):
    r"""Shrink the training images in the first epochs of a run; validation and test keep the full size.

    In epoch e (from 0) of a run of E epochs the side is $s_i$ for the first $i$ with $e < u_i E$, else the full
    size. The cost of a convolution falls with the square of the side. Resized bilinearly with antialiasing.

    Use the full size in the last epochs, otherwise the network is validated at a scale that it was not trained on.
    Choose sides that can be halved without remainder: a network that pools 31 → 15 → 7 → 3 reaches the same final size
    at lower cost by 24 → 12 → 6 → 3.

    Args:
        sizes: Sides in pixels, ≥ 1, ascending and below that of the images, which must be square.
        until: Share of the run up to which each size is used, in (0, 1], ascending.

    Raises:
        ValueError: If an argument is outside its range.
        UserError: The length of the run is unknown, or the images are not square or not larger.

    Example:
        >>> resize = ProgressiveResize(sizes=[4, 6], until=[0.5, 0.75]).over(epochs=4)
        >>> [resize.size(epoch) for epoch in range(4)]
        [4, 4, 6, None]

    Reference:
        M. Tan, Q. V. Le, "EfficientNetV2: Smaller Models and Faster Training", 2021 (there the augmentation grows with
        the images, which is left out here). J. Howard et al.: fast.ai's entry to DAWNBench, 2018.
    """

    keeps_size = False

    def __init__(self, sizes: Sequence[int], until: Sequence[float]) -> None:
        if not sizes or len(sizes) != len(until):
            raise ValueError(f"sizes and until must have the same length ≥ 1, got {len(sizes)} and {len(until)}.")
        if min(sizes) < 1 or list(sizes) != sorted(set(sizes)):
            raise ValueError(f"sizes must be ascending and ≥ 1, got {list(sizes)}.")
        if not (until[0] > 0 and until[-1] <= 1) or list(until) != sorted(set(until)):
            raise ValueError(f"until must be ascending within (0, 1], got {list(until)}.")
        self.sizes, self.until = tuple(sizes), tuple(until)
        self.epochs: float | None = None

    def over(self, epochs: float | None) -> Self:
        """Return a copy that knows the length of the run."""
        if epochs is None:
            raise UserError(
                "ProgressiveResize needs the length of the run, and this run has no end: set trainer.max_epochs or "
                "trainer.max_steps."
            )
        known = copy.copy(self)
        known.epochs = epochs
        return known

    def size(self, epoch: int) -> int | None:
        """Return the side of the images in an epoch (from 0); None is the full size."""
        if self.epochs is None:
            raise UserError(
                "ProgressiveResize does not know the length of the run: in your own loop, call its over(epochs) first."
            )
        return next(
            (size for size, share in zip(self.sizes, self.until, strict=True) if epoch < share * self.epochs), None
        )

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Resize a batch to the size of the epoch."""
        height, width = images.shape[-2:]
        if height != width or height <= self.sizes[-1]:
            raise UserError(
                f"ProgressiveResize reduces square images to {list(self.sizes)} pixels; these are {height} × {width}."
            )
        size = self.size(epoch)
        return images if size is None else F.resize(images, [size, size], antialias=True)
