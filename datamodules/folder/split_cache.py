"""The cache of one split of an image folder: found, compared with the images, filled where it is missing or old."""

from pathlib import Path
from threading import Thread

from datamodules.folder.building import OnCorrupt, build
from datamodules.folder.cache_file import CacheEntry, ImageCache, is_unchanged
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.places import cache_folders, writable_folder
from datamodules.folder.tree import ALL, Tree, class_folders, scan
from datamodules.memory.images import Images
from foundation.errors import UserError

_PATIENCE = 0.015  # seconds that opening waits for the comparison; some 3,000 images are compared by then


class FolderCache:
    """Opens in milliseconds, however many images there are, and yet misses no change.

    The folders' times of change, a few system calls, tell of images that were added, removed, renamed or replaced.
    An image that was overwritten in place shows only in its own size and time; to ask for those takes 0.3 s for 50,000
    images. That comparison runs beside whatever comes next, and :meth:`has_changed` waits for it.

    Args:
        root: Folder with the splits in it.
        split: ``train``, ``val`` or ``test``; or ``.``, where the classes lie in ``root`` itself.
        form: What every image is turned into.
        class_names: All classes; those of the split must be among them.
        cache_dir: See :func:`~datamodules.folder.places.cache_folders`.
        on_corrupt: See :func:`~datamodules.folder.building.build`.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        form: ImageFormat,
        class_names: list[str],
        cache_dir: Path | None = None,
        on_corrupt: OnCorrupt = "stop",
    ) -> None:
        self.root, self.split, self.form, self.on_corrupt = root, split, form, on_corrupt
        self.class_names, self.source = class_names, root / split
        name = f"{'all' if split == ALL else split}-{form.height}x{form.width}-{form.mode}-{form.resize}"
        self._places = [ImageCache(folder, name) for folder in cache_folders(root, cache_dir)]
        self._check: Thread | None = None
        self._changed = False

    def images(self) -> Images:
        """Open the images, decoding them first where that is needed."""
        cache, entry = self.find()
        try:
            return cache.images(entry, self.class_names)
        except FileNotFoundError:  # another process has replaced the cache in this very moment
            cache, entry = self.find()
            return cache.images(entry, self.class_names)

    def find(self) -> tuple[ImageCache, CacheEntry]:
        """The cache and what it holds; filled where it is missing or old."""
        for cache in self._places if not self._changed else ():
            entry = self._usable(cache)
            if entry is not None and is_unchanged(self.source, entry):
                if self._check is None or not self._check.is_alive():
                    self._start_check(entry)
                if not self._changed:
                    return cache, entry
        return self._compared_or_built()

    def has_changed(self) -> bool:
        """Whether an image has changed since the cache was made; waits for the comparison that :meth:`find` began."""
        if self._check is not None:
            self._check.join()
        return self._changed

    def _usable(self, cache: ImageCache) -> CacheEntry | None:
        entry = cache.read()
        if (
            entry is None
            or (entry.skipped and self.on_corrupt == "stop")
            or not set(entry.counts) <= set(self.class_names)
        ):
            return None
        return entry

    def _start_check(self, entry: CacheEntry) -> None:
        self._changed = False

        def compare() -> None:
            try:
                self._changed = scan(self.source, list(entry.counts)).digest != entry.digest
            except (OSError, UserError):
                self._changed = True  # find() looks again and says what is wrong

        self._check = Thread(target=compare, daemon=True)
        self._check.start()
        self._check.join(_PATIENCE)

    def _compared_or_built(self) -> tuple[ImageCache, CacheEntry]:
        self._check, self._changed = None, False
        tree = self._scan()
        for cache in self._places:
            entry = self._usable(cache)
            if entry is not None and entry.digest == tree.digest:
                return cache, cache.seen(entry, tree)
        folder = writable_folder([cache.folder for cache in self._places])
        cache = next(cache for cache in self._places if cache.folder == folder)
        return cache, build(cache, self.source, tree, self.form, self.on_corrupt)

    def _scan(self) -> Tree:
        names = class_folders(self.root, self.split)
        strange = sorted(set(names) - set(self.class_names))
        if strange:
            raise UserError(
                f"{self.source} has classes that {self.root / 'train'} has not: {', '.join(strange)}; "
                "the network cannot answer with a class it was not trained on. Rename, remove or add them to train."
            )
        return scan(self.source, names)
