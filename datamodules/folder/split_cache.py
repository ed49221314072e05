"""Cache of one split of an image folder: found, compared with the images, and rebuilt if it is missing or outdated."""

from pathlib import Path
from threading import Thread

from datamodules.folder.building import OnCorrupt, build, skipped_sentence
from datamodules.folder.cache_file import CacheEntry, ImageCache, is_unchanged
from datamodules.folder.contents.image_index import ImageIndex
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.listing.layout import ALL, class_folders, find_layout, folders_by_class
from datamodules.folder.listing.tree import Tree, scan
from datamodules.folder.opening import MOST_PIXELS
from datamodules.folder.places import cache_folders, writable_folder
from datamodules.memory.images import Images
from foundation.errors import UserError


class FolderCache:
    """Cache that opens in milliseconds for any number of images, and still notices every change.

    The folders' modification times, a few system calls, show images that were added, removed, renamed or replaced. An
    image that was overwritten in place changes only its own size and time; to read these takes 0.3 s for 50,000 images.
    This comparison runs in a thread, and :meth:`has_changed` waits for it.

    Args:
        root: Folder that holds the splits.
        split: ``train``, ``val`` or ``test``; or ``.`` if the class folders are in ``root`` itself.
        form: Format of the decoded images.
        class_names: All classes; those of the split must be among them.
        cache_dir: See :func:`~datamodules.folder.places.cache_folders`.
        on_corrupt: See :func:`~datamodules.folder.building.build`.
    """

    folder: Path
    """Folder of the cache that was found or built."""

    comparison_wait = 0.015
    """Seconds that opening waits for the comparison, enough for about 3,000 images."""

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
        self.class_names, self.source = class_names, root if split == ALL else find_layout(root).folder(split)
        name = f"{self._name()}-{form.height}x{form.width}-{form.mode}-{form.resize}"
        name += "" if form.interpolation == "bilinear" else f"-{form.interpolation}"
        name += "" if form.grey_bits is None else f"-{form.grey_bits}bit"
        name += "" if form.max_pixels == MOST_PIXELS else f"-{form.max_pixels}"
        self._candidates = [ImageCache(folder, name) for folder in cache_folders(root, cache_dir)]
        self.folder = self._candidates[0].folder
        self._comparison: Thread | None = None
        self._changed = False

    def images(self) -> Images:
        """Open the images, after decoding them if necessary."""
        return self.opened()[0]

    def opened(self) -> tuple[Images, ImageIndex]:
        """Open the images and their index, after decoding them if necessary."""
        try:
            return self._open(*self.find())
        except FileNotFoundError:  # another process has just replaced the cache
            return self._open(*self.find())

    def _open(self, cache: ImageCache, entry: CacheEntry) -> tuple[Images, ImageIndex]:
        return cache.images(entry, self.class_names), cache.index(entry)

    def skipped(self) -> str | None:
        """Say which files are not used, see :func:`~datamodules.folder.building.skipped_sentence`."""
        cache, entry = self.find()
        return skipped_sentence(cache, self.source, entry)

    def find(self) -> tuple[ImageCache, CacheEntry]:
        """Return the cache and its content, after rebuilding it if it is missing or outdated."""
        cache, entry = self._find()
        self.folder = cache.folder
        return cache, entry

    def _find(self) -> tuple[ImageCache, CacheEntry]:
        for cache in self._candidates if not self._changed else ():
            entry = self._usable(cache)
            if entry is not None and is_unchanged(self.source, entry):
                if self._comparison is None or not self._comparison.is_alive():
                    self._start_comparison(entry)
                if not self._changed:
                    return cache, entry
        return self._compared_or_built()

    def has_changed(self) -> bool:
        """Wait for the comparison that :meth:`find` started; return whether an image has changed."""
        if self._comparison is not None:
            self._comparison.join()
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

    def _start_comparison(self, entry: CacheEntry) -> None:
        self._changed = False

        def compare() -> None:
            try:
                self._changed = self._listing(list(entry.counts)).digest != entry.digest
            except (OSError, UserError):
                self._changed = True  # find() scans again and raises the error

        self._comparison = Thread(target=compare, daemon=True)
        self._comparison.start()
        self._comparison.join(self.comparison_wait)

    def _compared_or_built(self) -> tuple[ImageCache, CacheEntry]:
        self._comparison, self._changed = None, False
        tree = self._scan()
        for cache in self._candidates:
            entry = self._usable(cache)
            if entry is not None and entry.digest == tree.digest:
                return cache, cache.with_folder_times(entry, tree)
        folder = writable_folder([cache.folder for cache in self._candidates])
        cache = next(cache for cache in self._candidates if cache.folder == folder)
        return cache, build(cache, self.source, tree, self.form, self.on_corrupt)

    def _name(self) -> str:
        return "all" if self.split == ALL else self.split

    def _scan(self) -> Tree:
        names = class_folders(self.root, self.split)
        unknown = sorted(set(names) - set(self.class_names))
        if unknown:
            raise UserError(
                f"{self.source} has classes that are not in {find_layout(self.root).folder('train')}: "
                f"{', '.join(name + self._similar(name) for name in unknown)}; the network cannot predict a class it "
                "was not trained on. Rename or remove them, or add them to train."
            )
        return self._listing(names)

    def _listing(self, names: list[str]) -> Tree:
        """List the images; only in training does every class need one."""
        folders = folders_by_class(self.source)
        present = {name: folders[name] for name in sorted(names) if name in folders}
        return scan(self.source, present, needs_images=self.split in ("train", ALL))

    def _similar(self, name: str) -> str:
        same = [known for known in self.class_names if known.casefold() == name.casefold()]
        return f" (in train it is {same[0]})" if same else ""
