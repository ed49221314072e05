"""Format of an image cache: decoded pixels in a memory-mapped file, and a JSON file that describes them.

The two files are ``<name>-<digest>.u8``, which holds only pixels, and ``<name>.json``, which describes them and names
the current digest. The JSON file is replaced last, so that a process that reads at the same time sees a complete cache
or none.
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

VERSION = 1  # of the file format and of the decoding: with another number, all caches are rebuilt


@dataclass(frozen=True)
class CacheEntry:
    """Description of a cache's content.

    Args:
        digest: Hash of the images' names, sizes and times, see :class:`~datamodules.folder.tree.Tree`.
        folders: Modification time of each folder.
        counts: Number of images of each class, in the order of the images.
        shape: Height, width, channels.
        sums: Sum of the values of each channel.
        squares: Sum of their squares.
        skipped: Number of corrupt images that were skipped.
        version: Version of the format.
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
        """Size of the pixels in bytes."""
        height, width, channels = self.shape
        return sum(self.counts.values()) * height * width * channels


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

    def read(self) -> CacheEntry | None:
        """Read the description, or return None if there is no complete cache."""
        try:
            entry = CacheEntry(**json.loads((self.folder / f"{self.name}.json").read_text(encoding="utf-8")))
            complete = entry.version == VERSION and self.pixel_file(entry.digest).stat().st_size == entry.size
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

    def images(self, entry: CacheEntry, class_names: list[str]) -> Images:
        """Map the pixels into memory; they are read when they are used.

        Args:
            entry: Description from :meth:`read`.
            class_names: All classes; their positions are the targets.

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
    """Return whether no folder has changed: then no image was added, removed, renamed or replaced by another file."""
    try:
        return all((source / name).stat().st_mtime_ns == time for name, time in entry.folders.items())
    except OSError:
        return False
