"""Format of an image cache: decoded pixels in a memory-mapped file, and a JSON file that describes them.

The two files are ``<name>-<digest>.u8``, which holds pixels and behind them an index of the images, and
``<name>.json``, which describes both and names the current digest. The JSON file is replaced last, so that a process
that reads at the same time sees a complete cache or none. ``<name>-skipped.csv`` lists the files that are not used, if
there are any.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.folder.contents.image_index import ImageIndex, joined, name_key
from datamodules.folder.listing.tree import Tree
from datamodules.memory.images import Images
from datamodules.memory.normalisation import Statistics, statistics_of_sums
from foundation.files import replacing

VERSION = 2  # of the file format and of the decoding: with another number, all caches are rebuilt


@dataclass(frozen=True)
class CacheEntry:
    """Description of a cache's content.

    Args:
        digest: Hash of the images' names, sizes and times, see :class:`~datamodules.folder.listing.tree.Tree`.
        folders: Modification time of each folder.
        counts: Number of images of each class, in the order of the images.
        shape: Height, width, channels.
        sums: Sum of the values of each channel.
        squares: Sum of their squares.
        skipped: Number of corrupt images that were skipped.
        names_size: Bytes of the images' names.
        others: Number of other files that are not used, by reason.
        version: Version of the format.
    """

    digest: str
    folders: dict[str, int]
    counts: dict[str, int]
    shape: tuple[int, int, int]
    sums: list[int]
    squares: list[int]
    skipped: int
    names_size: int = 0
    others: dict[str, int] = field(default_factory=dict)
    version: int = VERSION

    @property
    def statistics(self) -> Statistics:
        """Mean and standard deviation of each channel."""
        return statistics_of_sums(self.sums, self.squares, self.count * self.shape[0] * self.shape[1])

    @property
    def count(self) -> int:
        """Number of images."""
        return sum(self.counts.values())

    @property
    def size(self) -> int:
        """Size of the pixels in bytes."""
        height, width, channels = self.shape
        return self.count * height * width * channels

    @property
    def index_start(self) -> int:
        """Place of the index in the file, a multiple of 8 bytes."""
        return -(-self.size // 8) * 8

    @property
    def file_size(self) -> int:
        """Size of the whole file in bytes."""
        return self.index_start + self.count * 8 * (2 + 2 * self.shape[2]) + self.names_size


def append_index(file: Path, entry: CacheEntry, index: NDArray[np.int64], names: list[str]) -> None:
    """Write the index behind the pixels.

    Args:
        file: With the pixels.
        entry: Their description, with the size of the names.
        index: See :class:`~datamodules.folder.parallel_decoding.Decoded`.
        names: Path of each image.
    """
    keys = np.array([name_key(name) for name in names], np.int64)[:, None]
    os.truncate(file, entry.index_start)
    with file.open("ab") as end:
        end.write(np.concatenate([index[:, :1], keys, index[:, 1:]], 1).tobytes())
        end.write(joined(names))


@dataclass(frozen=True)
class ImageCache:
    """Cache of the decoded images of one folder in one format.

    Args:
        folder: Folder of the files.
        name: Start of their names: split and format.
    """

    folder: Path
    name: str

    def pixel_file(self, digest: str) -> Path:
        """Return the file of the pixels."""
        return self.folder / f"{self.name}-{digest}.u8"

    @property
    def skipped_file(self) -> Path:
        """The list of the files that are not used."""
        return self.folder / f"{self.name}-skipped.csv"

    def read(self) -> CacheEntry | None:
        """Read the description, or return None if there is no complete cache."""
        try:
            entry = CacheEntry(**json.loads((self.folder / f"{self.name}.json").read_text(encoding="utf-8")))
            complete = entry.version == VERSION and self.pixel_file(entry.digest).stat().st_size == entry.file_size
        except (OSError, ValueError, TypeError, AttributeError):
            return None
        return entry if complete else None

    def write(self, entry: CacheEntry) -> None:
        """Make ``entry`` the current one and remove earlier pixel files, which stay valid where they are mapped."""
        with replacing(self.folder / f"{self.name}.json") as part:
            part.write_text(json.dumps(asdict(entry)), encoding="utf-8")
        for file in self.folder.glob(f"{self.name}-*.u8"):
            if file != self.pixel_file(entry.digest):
                file.unlink(missing_ok=True)

    def with_folder_times(self, entry: CacheEntry, tree: Tree) -> CacheEntry:
        """Store new modification times of folders in which no image changed, so that the next opening is fast."""
        entry = replace(entry, folders=tree.folders)
        with suppress(OSError):  # if the folder is not writable, the next run compares all images again
            self.write(entry)
        return entry

    def pixels(self, entry: CacheEntry) -> Tensor:
        """Map the pixels into memory, ``(N, H, W, C)``; they are read when they are used.

        Raises:
            FileNotFoundError: If another process has replaced the cache since ``entry`` was read.
        """
        file = self.pixel_file(entry.digest)
        try:
            pixels = torch.from_file(str(file), shared=False, size=entry.size, dtype=torch.uint8)
        except RuntimeError as error:
            raise FileNotFoundError(f"{file} cannot be mapped into memory: {error}") from error
        return pixels.view(-1, *entry.shape)

    def images(self, entry: CacheEntry, class_names: list[str]) -> Images:
        """Map the pixels into memory, with the classes as targets.

        Args:
            entry: Description from :meth:`read`.
            class_names: All classes; their positions are the targets.

        Raises:
            FileNotFoundError: If another process has replaced the cache since ``entry`` was read.
        """
        numbers = torch.tensor([class_names.index(name) for name in entry.counts])
        counts = torch.tensor(list(entry.counts.values()))
        return Images(self.pixels(entry), numbers.repeat_interleave(counts))

    def index(self, entry: CacheEntry) -> ImageIndex:
        """Read the index.

        Raises:
            FileNotFoundError: If another process has replaced the cache since ``entry`` was read.
        """
        columns = 2 + 2 * entry.shape[2]
        with self.pixel_file(entry.digest).open("rb") as file:
            file.seek(entry.index_start)
            table = np.fromfile(file, np.int64, entry.count * columns).reshape(-1, columns)
            text = file.read(entry.names_size)
        return ImageIndex(torch.from_numpy(table), text, entry.shape[0] * entry.shape[1])


def is_unchanged(source: Path, entry: CacheEntry) -> bool:
    """Return whether no folder has changed: then no image was added, removed, renamed or replaced by another file."""
    try:
        return all((source / name).stat().st_mtime_ns == time for name, time in entry.folders.items())
    except OSError:
        return False
