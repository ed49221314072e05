"""Decoded images in a memory-mapped file: what a cache is, and how one is opened.

Two files: ``<name>-<digest>.u8``, the pixels and nothing else, and ``<name>.json``, what they are and which digest is
the present one. The small one is replaced last: whoever reads meanwhile sees a whole cache or none.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from datamodules.folder.tree import Tree
from datamodules.memory.images import Images
from datamodules.memory.normalisation import Statistics, statistics_of_sums
from foundation.files import replacing

VERSION = 1  # of the files' format and of the decoding: with another number, all caches are made anew


@dataclass(frozen=True)
class CacheEntry:
    """What a cache holds.

    Args:
        digest: Of the images' names, sizes and times, see :class:`~datamodules.folder.tree.Tree`.
        folders: Time of change of each folder.
        counts: How many images each class has, in the order of their images.
        shape: Height, width, channels.
        sums: Of each channel's values.
        squares: Of their squares.
        skipped: How many corrupt images were left out.
        version: Of the format.
    """

    digest: str
    folders: dict[str, int]
    counts: dict[str, int]
    shape: tuple[int, int, int]
    sums: list[int]
    squares: list[int]
    skipped: int
    version: int = VERSION

    @property
    def statistics(self) -> Statistics:
        """Mean and standard deviation of each channel."""
        return statistics_of_sums(self.sums, self.squares, sum(self.counts.values()) * self.shape[0] * self.shape[1])

    @property
    def size(self) -> int:
        """Bytes of the pixels."""
        height, width, channels = self.shape
        return sum(self.counts.values()) * height * width * channels


@dataclass(frozen=True)
class ImageCache:
    """A place for the decoded images of one folder in one form.

    Args:
        folder: Where the files lie.
        name: How they begin: split and form.
    """

    folder: Path
    name: str

    def pixel_file(self, digest: str) -> Path:
        """The file with the pixels."""
        return self.folder / f"{self.name}-{digest}.u8"

    def read(self) -> CacheEntry | None:
        """What is there, or None where there is no whole cache."""
        try:
            entry = CacheEntry(**json.loads((self.folder / f"{self.name}.json").read_text()))
            whole = entry.version == VERSION and self.pixel_file(entry.digest).stat().st_size == entry.size
        except (OSError, ValueError, TypeError, AttributeError):
            return None
        return entry if whole else None

    def write(self, entry: CacheEntry) -> None:
        """Make ``entry`` the present one, and remove the pixels of earlier ones (who has them mapped keeps them)."""
        with replacing(self.folder / f"{self.name}.json") as part:
            part.write_text(json.dumps(asdict(entry)))
        for file in self.folder.glob(f"{self.name}-*.u8"):
            if file != self.pixel_file(entry.digest):
                file.unlink(missing_ok=True)

    def seen(self, entry: CacheEntry, tree: Tree) -> CacheEntry:
        """Note the folders' new times where they changed but no image did; only to be quick the next time."""
        entry = replace(entry, folders=tree.folders)
        with suppress(OSError):  # where the folder cannot be written to, the next run compares all images again
            self.write(entry)
        return entry

    def images(self, entry: CacheEntry, class_names: list[str]) -> Images:
        """Map the pixels into memory; nothing is read before it is asked for.

        Args:
            entry: From :meth:`read`.
            class_names: All classes; their places are the targets.

        Raises:
            FileNotFoundError: If another process has replaced the cache since ``entry`` was read.
        """
        file = self.pixel_file(entry.digest)
        try:
            pixels = torch.from_file(str(file), shared=False, size=entry.size, dtype=torch.uint8)
        except RuntimeError as error:
            raise FileNotFoundError(f"{file} cannot be mapped into memory: {error}") from error
        numbers = torch.tensor([class_names.index(name) for name in entry.counts])
        counts = torch.tensor(list(entry.counts.values()))
        return Images(pixels.view(-1, *entry.shape), numbers.repeat_interleave(counts))


def is_unchanged(source: Path, entry: CacheEntry) -> bool:
    """Whether no folder has changed, so that no image was added, removed, renamed or replaced by another file."""
    try:
        return all((source / name).stat().st_mtime_ns == time for name, time in entry.folders.items())
    except OSError:
        return False
