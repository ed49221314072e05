"""Data source for images in class folders: train/<class>/, test/<class>/ and, optionally, val/<class>/."""

from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from datamodules.folder.building import OnCorrupt
from datamodules.folder.sizing import Sizing
from datamodules.folder.split_cache import FolderCache
from datamodules.folder.tree import ALL, class_folders, is_unsplit
from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import ImageDataset, Images
from datamodules.memory.loading import ImageLoader
from datamodules.memory.normalisation import Statistics, pixel_statistics
from datamodules.memory.split import TEST_SEED
from foundation.argument_checks import require_choice, require_fraction
from foundation.errors import UserError
from foundation.network_input import Interpolation


class ImageFolderDataModule(ImageDataModule):
    """Images in folders named after their classes, decoded once into a cache that is read when it is used.

    ``root/train/<class>/…`` and ``root/test/<class>/…`` hold the images. The validation set is
    ``root/val/<class>/…``, or else ``val_share`` of every class in ``train``. Folders below a class belong to it;
    hidden ones are ignored. Test images are opened only by ``test`` and ``predict``. Images are normalised with the
    mean and standard deviation of ``train``.

    In an unsplit folder, which has ``root/<class>/…`` but no ``train``, a fixed ``test_share`` of every class is the
    test set, and the rest is used like ``train``.

    Args:
        root: The folder.
        image_size: Height and width of the images that the network gets, or one number for both; ≥ 1. ``network``: the
            size that its weights were trained with.
        mode: ``RGB``, or ``L`` for grey.
        resize: ``crop``: scale to cover the size and cut out the middle; ``squash``: scale both sides to the size.
        cache_dir: Folder of the cache. Default: ``.descent_cache`` in ``root``, or in the user's cache folder if
            ``root`` is not writable.
        on_corrupt: ``stop`` at images that cannot be decoded, or ``skip`` them and report how many.
        class_names: Names of the class folders in the order of their class numbers. Default: those in ``train``,
            sorted; for a trained network, those it was trained on.
        test_share: Share of every class that is the test set of an unsplit folder, in (0, 1).
        stored_size: Height and width of the images in the cache, at least ``image_size``: the network gets their
            middle, and random crops of them where an augmentation crops. Default: for a pretrained network, from its
            crop share; else ``image_size``.
        interpolation: How images are resized: ``bilinear`` or ``bicubic``, with antialiasing. Default: as a pretrained
            network wants, else bilinear.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Raises:
        ValueError: If an argument is outside its range.
    """

    def __init__(
        self,
        root: str,
        image_size: int | tuple[int, int] | Literal["network"] = 32,
        mode: Literal["RGB", "L"] = "RGB",
        resize: Literal["crop", "squash"] = "crop",
        cache_dir: str | None = None,
        on_corrupt: OnCorrupt = "stop",
        class_names: list[str] | None = None,
        test_share: float = 0.2,
        stored_size: int | tuple[int, int] | None = None,
        interpolation: Interpolation | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sizing = Sizing(image_size, stored_size, interpolation)
        self.form, self._size = self.sizing.form(mode, resize, None)
        require_choice("on_corrupt", on_corrupt, ("stop", "skip"))
        require_fraction("test_share", test_share)
        self.root, self.on_corrupt, self.test_share = Path(root).expanduser(), on_corrupt, test_share
        self.cache_dir = None if cache_dir is None else Path(cache_dir).expanduser()
        self._is_unsplit = self._has_announced_split = False
        self._class_names = None if class_names is None else list(class_names)
        self._caches: dict[str, FolderCache] = {}

    @property
    def class_names(self) -> list[str]:
        """The given names, or else those of the folders in ``train``, sorted."""
        if self._class_names is None:
            split = ALL if self.is_unsplit else "train"
            names = class_folders(self.root, split)
            if len(names) < 2:
                raise UserError(f"{self.root / split} has one class only, {names[0]}: a classifier needs at least two.")
            self._class_names = names
        return self._class_names

    @property
    def is_unsplit(self) -> bool:
        """Whether the class folders are in ``root`` itself; once true it stays true."""
        self._is_unsplit = self._is_unsplit or is_unsplit(self.root)
        return self._is_unsplit

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of what the network gets."""
        return self._size

    def follow(self, module: Any) -> None:
        """Take what is not given from what the network was pretrained with."""
        super().follow(module)
        form, self._size = self.sizing.form(self.form.mode, self.form.resize, self.network_input)
        if form != self.form:
            self.form, self._caches = form, {}

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for L."""
        return self.form.shape[2]

    def prepare_data(self) -> None:
        """Fill the caches that the command needs."""
        self.follow_trainer()
        if self.is_unsplit:
            self._cache(ALL).find()
            if not self._has_announced_split:
                self._has_announced_split = True
                rank_zero_info(
                    f"{self.root} has no train and test folders: a share of {self.test_share:g} of every class, always "
                    "the same images, is the test set (data.test_share)."
                )
            return
        testing = self.trainer is not None and self.trainer.testing | self.trainer.predicting
        for split in ("test",) if testing else ("train", "val"):
            if split != "val" or (self.root / "val").exists():
                self._cache(split).find()

    def open(self, stage: str) -> None:
        """Open the data sets of a stage; those of an unsplit folder share one memory-mapped file."""
        if not self.is_unsplit:
            super().open(stage)
            return
        images, rest, test = self._unsplit()
        if stage in ("test", "predict"):
            self.test_set = ImageDataset(images, test)
            return
        train, val = self.split_rows(images.targets[rest], self.val_share, self.split_seed)
        self.train_set, self.val_set = ImageDataset(images, rest[train]), ImageDataset(images, rest[val])

    def _unsplit(self) -> tuple[Images, Tensor, Tensor]:
        """Return the images of an unsplit folder, the rows for training and validation, and those for the test."""
        images = self._cache(ALL).images()
        return images, *self.split_rows(images.targets, self.test_share, TEST_SEED)

    def training_images(self) -> Images:
        """Return the images in ``train``."""
        if self.is_unsplit:
            images, rest, _ = self._unsplit()
            return images.select(rest)
        return self._cache("train").images()

    def validation_images(self) -> Images | None:
        """Return the images in ``val``, if it exists."""
        return self._cache("val").images() if (self.root / "val").exists() else None

    def test_images(self) -> Images:
        """Return the images in ``test``."""
        if self.is_unsplit:
            images, _, test = self._unsplit()
            return images.select(test)
        return self._cache("test").images()

    def data_statistics(self) -> Statistics:
        """Return the statistics of ``train`` from the cache; of an unsplit folder, those of some 10,000 images."""
        if self.is_unsplit:
            images, rest, _ = self._unsplit()
            every = -(-len(rest) // 10_000)  # more images would not change the third digit
            return pixel_statistics(images.pixels[rest[::every]])
        return self._cache("train").find()[1].statistics

    def train_dataloader(self) -> ImageLoader:
        """Load the training images, decoded again if one has changed."""
        self._refresh("fit")
        return super().train_dataloader()

    def val_dataloader(self) -> ImageLoader:
        """Load the validation images, decoded again if one has changed."""
        self._refresh("fit")
        return super().val_dataloader()

    def test_dataloader(self) -> ImageLoader:
        """Load the test images, decoded again if one has changed."""
        self._refresh("test")
        return super().test_dataloader()

    def _cache(self, split: str) -> FolderCache:
        if split not in self._caches:
            self._caches[split] = FolderCache(
                self.root, split, self.form, self.class_names, self.cache_dir, self.on_corrupt
            )
        return self._caches[split]

    def _refresh(self, stage: str) -> None:
        """Wait for the comparison of all images that began when the caches were opened; reopen them on a change."""
        changed = [cache.has_changed() for cache in self._caches.values()]
        if any(changed):
            self.open(stage)
