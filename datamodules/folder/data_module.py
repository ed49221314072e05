"""Images of one's own: train/<class>/, test/<class>/ and, if there is one, val/<class>/."""

from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.utilities import rank_zero_info

from datamodules.folder.building import OnCorrupt
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.split_cache import FolderCache
from datamodules.folder.tree import ALL, class_folders, is_plain, kept_for_test, statistics_of
from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import ImageDataset, Images
from datamodules.memory.loading import ImageLoader
from datamodules.memory.normalisation import Statistics
from datamodules.memory.split import stratified_split
from foundation.errors import UserError


class ImageFolderDataModule(ImageDataModule):
    """Images in folders named after their classes, decoded once into a cache and kept out of memory until used.

    ``root/train/<class>/…`` and ``root/test/<class>/…``; ``root/val/<class>/…`` is the validation set, or else
    ``val_share`` of every class in ``train``. Folders below a class belong to it; hidden ones do not count. Test
    images are opened by ``test`` and ``predict`` alone. Normalised with mean and standard deviation of ``train``.

    Where there is no ``train`` but ``root/<class>/…`` alone, a fixed ``test_share`` of every class is the test set, and
    the rest is as if it lay in ``train``.

    Args:
        root: The folder.
        image_size: Height and width that all images are brought to, or one number for both; ≥ 1.
        mode: ``RGB``, or ``L`` for grey.
        resize: ``crop``: scale to cover the size and cut out the middle; ``squash``: scale both sides to it.
        cache_dir: Where the cache goes. Default: ``.descent_cache`` in ``root``, or in the user's cache folder where
            ``root`` cannot be written to.
        on_corrupt: ``stop`` at images that cannot be decoded, or ``skip`` them and say how many.
        class_names: Names of the class folders in the order of their numbers. Default: those in ``train``, sorted; of
            a trained network that is used, those it was trained on.
        test_share: In (0, 1): how much of every class is kept for the test where ``root`` has no ``train``.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Raises:
        ValueError: If an argument is outside its range.
    """

    def __init__(
        self,
        root: str,
        image_size: int | tuple[int, int] = 32,
        mode: Literal["RGB", "L"] = "RGB",
        resize: Literal["crop", "squash"] = "crop",
        cache_dir: str | None = None,
        on_corrupt: OnCorrupt = "stop",
        class_names: list[str] | None = None,
        test_share: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.form = ImageFormat(height, width, mode, resize)
        if on_corrupt not in ("stop", "skip"):
            raise ValueError(f"on_corrupt must be 'stop' or 'skip', got {on_corrupt!r}.")
        if not 0 < test_share < 1:
            raise ValueError(f"test_share must be in (0, 1), got {test_share:g}.")
        self.test_share, self._plain, self._is_said = test_share, False, False
        self.root, self.on_corrupt = Path(root).expanduser(), on_corrupt
        self.cache_dir = None if cache_dir is None else Path(cache_dir).expanduser()
        self._class_names = None if class_names is None else list(class_names)
        self._caches: dict[str, FolderCache] = {}

    @property
    def class_names(self) -> list[str]:
        """As given, or else names of the folders in ``train``, sorted."""
        if self._class_names is None:
            part = ALL if self.is_plain else "train"
            names = class_folders(self.root, part)
            if len(names) < 2:
                raise UserError(
                    f"{self.root / part} has one class only, {names[0]}: to tell classes apart takes two or more."
                )
            self._class_names = names
        return self._class_names

    @property
    def is_plain(self) -> bool:
        """Whether the classes lie in ``root`` itself; that they do is remembered."""
        self._plain = self._plain or is_plain(self.root)
        return self._plain

    @property
    def image_size(self) -> tuple[int, int]:
        """As configured."""
        return self.form.height, self.form.width

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for L."""
        return self.form.shape[2]

    def prepare_data(self) -> None:
        """Fill the caches that the command needs, in one process of each machine."""
        if self.is_plain:
            self._cache(ALL).find()
            if self._is_said:
                return
            self._is_said = True
            rank_zero_info(
                f"{self.root} has no train and test folders: a share of {self.test_share:g} of every class, always the "
                "same images, is kept for the test (data.test_share)."
            )
            return
        testing = self.trainer is not None and self.trainer.testing | self.trainer.predicting
        for split in ("test",) if testing else ("train", "val"):
            if split != "val" or (self.root / "val").exists():
                self._cache(split).find()

    def open(self, stage: str) -> None:
        """See the base class; what is not parted yet is parted here, without a copy of the images."""
        if not self.is_plain:
            super().open(stage)
            return
        images = self._cache(ALL).images()
        rest, test = kept_for_test(images, self.test_share, self.class_names)
        if stage in ("test", "predict"):
            self.test_set = ImageDataset(images, test)
            return
        train, val = stratified_split(images.targets[rest], self.val_share, self.split_seed, self.class_names)
        self.train_set, self.val_set = ImageDataset(images, rest[train]), ImageDataset(images, rest[val])

    def training_images(self) -> Images:
        """Those of ``train``."""
        if self.is_plain:
            images = self._cache(ALL).images()
            rows = kept_for_test(images, self.test_share, self.class_names)[0]
            return Images(images.pixels[rows], images.targets[rows])
        return self._cache("train").images()

    def validation_images(self) -> Images | None:
        """Those of ``val``, if it exists."""
        return self._cache("val").images() if (self.root / "val").exists() else None

    def test_images(self) -> Images:
        """Those of ``test``."""
        if self.is_plain:
            images = self._cache(ALL).images()
            rows = kept_for_test(images, self.test_share, self.class_names)[1]
            return Images(images.pixels[rows], images.targets[rows])
        return self._cache("test").images()

    def data_statistics(self) -> Statistics:
        """Of all images in ``train``; kept in the cache."""
        if self.is_plain:
            images = self._cache(ALL).images()
            return statistics_of(images, kept_for_test(images, self.test_share, self.class_names)[0])
        return self._cache("train").find()[1].statistics

    def train_dataloader(self) -> ImageLoader:
        """See the base class; decoded anew if an image has changed."""
        self._refresh("fit")
        return super().train_dataloader()

    def val_dataloader(self) -> ImageLoader:
        """See the base class; decoded anew if an image has changed."""
        self._refresh("fit")
        return super().val_dataloader()

    def test_dataloader(self) -> ImageLoader:
        """See the base class; decoded anew if an image has changed."""
        self._refresh("test")
        return super().test_dataloader()

    def _cache(self, split: str) -> FolderCache:
        if split not in self._caches:
            self._caches[split] = FolderCache(
                self.root, split, self.form, self.class_names, self.cache_dir, self.on_corrupt
            )
        return self._caches[split]

    def _refresh(self, stage: str) -> None:
        """Wait for the comparison of every image that began when the caches were opened; open anew what changed."""
        changed = [cache.has_changed() for cache in self._caches.values()]
        if any(changed):
            self.open(stage)
