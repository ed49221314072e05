"""Cache of the images that a table of labels names."""

import hashlib
from pathlib import Path

from datamodules.folder.building import OnCorrupt
from datamodules.folder.cache_file import CacheEntry, ImageCache
from datamodules.folder.contents.image_index import ImageIndex
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.listing.label_table import LabelTable
from datamodules.folder.listing.layout import ALL
from datamodules.folder.listing.listed_files import scan_listed
from datamodules.folder.listing.tree import Tree
from datamodules.folder.split_cache import FolderCache
from datamodules.memory.images import Images


class ListedCache(FolderCache):
    """Cache of the images that a table names; the labels stay in the table, so that changing them decodes nothing.

    Args:
        root: Folder of the images.
        table: The table.
        form: Format of the decoded images.
        class_names: All labels.
        cache_dir: See :func:`~datamodules.folder.places.cache_folders`.
        on_corrupt: See :func:`~datamodules.folder.building.build`; with ``skip`` missing images are passed over too.
    """

    def __init__(
        self,
        root: Path,
        table: LabelTable,
        form: ImageFormat,
        class_names: list[str],
        cache_dir: Path | None,
        on_corrupt: OnCorrupt,
    ) -> None:
        self.table = table
        paths = "\0".join(table.labels).encode("utf-8", "surrogateescape")
        self.key = hashlib.blake2b(paths, digest_size=8).hexdigest()
        super().__init__(root, ALL, form, class_names, cache_dir, on_corrupt)

    def _name(self) -> str:
        return f"labels-{hashlib.blake2b(str(self.table.file.resolve()).encode(), digest_size=4).hexdigest()}"

    def _usable(self, cache: ImageCache) -> CacheEntry | None:
        entry = cache.read()
        if entry is None or list(entry.counts) != [self.key]:
            return None
        return None if self.on_corrupt == "stop" and (entry.skipped or entry.others) else entry

    def _scan(self) -> Tree:
        return self._listing([])

    def _listing(self, names: list[str]) -> Tree:
        return scan_listed(self.root, self.table.labels, self.key, may_miss=self.on_corrupt == "skip")

    def _open(self, cache: ImageCache, entry: CacheEntry) -> tuple[Images, ImageIndex]:
        index = cache.index(entry)
        return Images(cache.pixels(entry), self.table.targets(index.names, self.class_names)), index
