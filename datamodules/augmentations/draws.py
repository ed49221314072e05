"""Random choices of all images, drawn once an epoch and looked up for each batch.

On a GPU a lookup is one launch, where drawing three integers takes more than fifty.
"""

import math
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

from foundation.counter_random import mix, random_below

Range = tuple[float, ...]  # two numbers
TRIES = 10  # as torchvision

MOST = 1 << 22
"""Images for which a table is kept; for more, every batch draws its own, so that no device memory is spent on it."""


def uniform(key: int, counters: Tensor) -> Tensor:
    """Return a number in [0, 1) for each counter, float32, of 24 random bits.

    Args:
        key: From `foundation.counter_random.mix`.
        counters: Integers of any shape.

    Example:
        >>> values = uniform(5, torch.arange(10_000))
        >>> bool((values >= 0).all() and (values < 1).all()), round(values.mean().item(), 1)
        (True, 0.5)
    """
    return random_below(1 << 24, key, counters).float() / (1 << 24)


def below(bounds: Tensor, values: Tensor) -> Tensor:
    """Return an integer in [0, bound) for each bound, from values that are uniform in [0, 1)."""
    return (bounds * values).long().clamp_max(bounds - 1)


def flips_of(kind: str, stream: int, rows: Tensor, seed: int, epoch: int) -> Tensor:
    """Return which images are flipped, ``(B,)`` bool.

    Args:
        kind: ``random``, ``alternating`` or ``none``, see :class:`~datamodules.augmentations.crop_flip.CropFlip`.
        stream: Of random numbers.
        rows: Of the images.
        seed: ≥ 0.
        epoch: ≥ 0.
    """
    if kind == "none":
        return torch.zeros_like(rows, dtype=torch.bool)
    if kind == "random":
        return random_below(2, mix(seed, epoch, stream), rows).bool()
    return (random_below(2, mix(seed, stream), rows) + epoch) % 2 == 1


def tried_sides(
    pixels: int, shares: Range, ratios: Range, keys: tuple[int, int], rows: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Draw ten rectangles for each image, as torchvision's RandomResizedCrop and RandomErasing do.

    Args:
        pixels: Of an image.
        shares: Smallest and largest share of them that is the area $a$; uniform between them.
        ratios: Smallest and largest ratio $r$; log-uniform between them.
        keys: Of the areas and of the ratios, from `foundation.counter_random.mix`.
        rows: Of the images.

    Returns:
        $\sqrt{a r}$ and $\sqrt{a / r}$, rounded, each int64 ``(10, B)``.
    """
    tries = rows.unsqueeze(0) * TRIES + torch.arange(TRIES, device=rows.device).unsqueeze(1)
    low, high = shares
    area = pixels * (low + (high - low) * uniform(keys[0], tries))
    low, high = (math.log(each) for each in ratios)
    ratio = torch.exp(low + (high - low) * uniform(keys[1], tries))
    return (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()


class EpochDraws:
    """Look up what is a function of (seed, epoch, image) in tables of all images, which are computed once an epoch.

    The values are the same with and without a table.

    Args:
        samples: Number of images, whose row numbers are below it; None if it is not known: then there is no table.

    Example:
        >>> double = lambda rows: torch.stack([2 * rows, rows])
        >>> EpochDraws(samples=10)("double", double, (0, 0), torch.tensor([3, 4]))
        tensor([[6, 8],
                [3, 4]])
    """

    def __init__(self, samples: int | None = None) -> None:
        self.samples = samples if samples is not None and samples <= MOST else None
        self._tables: dict[str, tuple[Hashable, Tensor]] = {}

    def __call__(self, name: str, draw: Callable[[Tensor], Tensor], key: Hashable, rows: Tensor) -> Tensor:
        """Return ``draw(rows)``.

        Args:
            name: Of the choice; each has a table.
            draw: Maps row numbers ``(B,)`` to values ``(…, B)``, those of each row independent of the other rows.
            key: What the values depend on besides the rows; a new one makes a new table.
            rows: Row numbers.

        Shape:
            rows ``(B,)`` → ``(…, B)``.
        """
        if self.samples is None:
            return draw(rows)
        known, table = self._tables.get(name, (None, rows))
        if known != (key, rows.device):
            table = draw(torch.arange(self.samples, device=rows.device))
            self._tables[name] = (key, rows.device), table
        return table.index_select(-1, rows)
