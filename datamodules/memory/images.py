"""Images in memory as one uint8 tensor, and a dataset that fetches a whole batch of them at a time."""

import hashlib
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from foundation.errors import UserError

Batch = tuple[Tensor, Tensor, Tensor]


class Images(NamedTuple):
    """Decoded images and their targets.

    Args:
        pixels: uint8 ``(N, H, W, C)``. Channels last, so that an image is contiguous in memory and a batch is
            channels_last without a copy. May be memory-mapped.
        targets: One entry per image, usually int64 ``(N,)`` with classes in ``[0, number of classes)``.
    """

    pixels: Tensor
    targets: Tensor

    def select(self, rows: Tensor) -> "Images":
        """Copy the images of these rows."""
        return Images(self.pixels[rows], self.targets[rows])


class ImageDataset(Dataset[Batch]):
    """Some rows of :class:`Images`, without copying them.

    Args:
        images: All images; the training and the validation set share them.
        rows: int64 ``(M,)``, the rows of this dataset in its order. Default: all.

    Shape:
        A batch is ``(images (B, C, H, W) uint8, targets (B,), rows (B,) int64)``. The row identifies the image in every
        split, so that the augmentation's random choices can be a function of it.

    Example:
        >>> images = Images(torch.zeros(4, 2, 2, 3, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
        >>> images, targets, rows = ImageDataset(images, torch.tensor([3, 0])).__getitems__([0, 1])
        >>> images.shape, targets, rows
        (torch.Size([2, 3, 2, 2]), tensor([1, 0]), tensor([3, 0]))
    """

    def __init__(self, images: Images, rows: Tensor | None = None) -> None:
        self.images = images
        self.rows = torch.arange(len(images.targets)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> Batch:
        images, targets, rows = self.__getitems__([position])
        return images[0], targets[0], rows[0]

    def __getitems__(self, positions: list[int]) -> Batch:
        """Fetch a batch with one indexing call; the DataLoader calls this instead of ``__getitem__``."""
        rows = self.rows[torch.tensor(positions)]
        pixels, targets = self.images
        return pixels.index_select(0, rows).permute(0, 3, 1, 2), targets[rows], rows

    def digest(self) -> str:
        """Return a hash of the rows: equal for equal rows."""
        return hashlib.blake2b(self.rows.numpy().tobytes(), digest_size=8).hexdigest()


def require_open(dataset: ImageDataset | None, stage: str) -> ImageDataset:
    """Return the dataset, or raise UserError if ``setup(stage)`` has not opened it yet."""
    if dataset is None:
        raise UserError(f"The images are not open yet: call setup({stage!r}) first.")
    return dataset


def middle(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut out the middle of images that are larger than `size`, (height, width); others are returned as they are.

    Shape:
        ``(…, H, W)`` → ``(…, min(H, height), min(W, width))``, a view.

    Example:
        >>> middle(torch.arange(5).view(1, 5), (1, 3))
        tensor([[1, 2, 3]])
    """
    height, width = images.shape[-2:]
    if height <= size[0] and width <= size[1]:
        return images
    top, left = (max(0, round((have - want) / 2)) for have, want in ((height, size[0]), (width, size[1])))
    return images[..., top : top + size[0], left : left + size[1]]
