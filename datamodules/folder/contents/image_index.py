"""What is known of each image of a folder without reading its pixels: hashes of content and name, sums, path."""

import hashlib
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from datamodules.memory.normalisation import Statistics, statistics_of_sums


@dataclass
class ImageIndex:
    """What is known of each image of a cache.

    Args:
        table: int64 ``(N, 2 + 2 C)``: hash of the file's content, hash of its name, sums and sums of squares.
        text: The names, separated by zero bytes.
        pixels: Number of pixels of an image.
    """

    table: Tensor
    text: bytes
    pixels: int

    @property
    def keys(self) -> Tensor:
        """Hash of content and of name of each image, ``(N, 2)``."""
        return self.table[:, :2]

    @cached_property
    def names(self) -> list[str]:
        """Path of each image, relative to the folder of the split."""
        return self.text.decode("utf-8", "surrogateescape").split("\0") if self.text else []

    def statistics(self, rows: Tensor) -> Statistics:
        """Return mean and standard deviation of some images, without reading their pixels."""
        sums, squares = self.table[rows, 2:].sum(0).chunk(2)
        return statistics_of_sums(sums.tolist(), squares.tolist(), len(rows) * self.pixels)


def content_key(content: bytes) -> int:
    """Return a hash of a file's content, a signed 64-bit number."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)


def joined(names: list[str]) -> bytes:
    """Return names as they stand in the file."""
    return "\0".join(names).encode("utf-8", "surrogateescape")


def name_key(name: str) -> int:
    """Return a hash of a name, a signed 64-bit number, the same however its accents are encoded."""
    return content_key(unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape"))
