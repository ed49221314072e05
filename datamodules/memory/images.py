"""Images in memory: one uint8 tensor, of which a dataset is a list of rows, fetched a whole batch at a time."""

import hashlib
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from foundation.errors import UserError

Batch = tuple[Tensor, Tensor, Tensor]


class Images(NamedTuple):
    """Decoded images and their classes.

    Args:
        pixels: uint8 ``(N, H, W, C)``: the channels lie side by side, so that an image is one run of memory and
            a batch of them is channels_last without a copy. May be memory-mapped.
        targets: int64 ``(N,)``, classes in ``[0, number of classes)``.
    """

    pixels: Tensor
    targets: Tensor


class ImageDataset(Dataset[Batch]):
    """Some rows of :class:`Images`, without a copy of them.

    Args:
        images: All of them; shared by the training and the validation set.
        rows: int64 ``(M,)``, the rows that belong to this dataset, in its order. Default: all.

    Shape:
        A batch is ``(images (B, C, H, W) uint8, targets (B,) int64, rows (B,) int64)``. The row names the image,
        whatever the split, so that its random choices can be a function of it.

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
        """Fetch a batch with one indexing call; the DataLoader calls this in place of ``__getitem__``."""
        rows = self.rows[torch.tensor(positions)]
        pixels, targets = self.images
        return pixels.index_select(0, rows).permute(0, 3, 1, 2), targets[rows], rows

    def digest(self) -> str:
        """Tells which rows these are: equal for equal rows."""
        return hashlib.blake2b(self.rows.numpy().tobytes(), digest_size=8).hexdigest()


def opened(dataset: ImageDataset | None, stage: str) -> ImageDataset:
    """The dataset itself.

    Raises:
        UserError: If it is not there yet.
    """
    if dataset is None:
        raise UserError(f"The images are not open yet: call setup({stage!r}) first.")
    return dataset
