"""Data source for images in class folders: train/<class>/, test/<class>/ and, optionally, val/<class>/."""

import copy
import unicodedata
from pathlib import Path
from typing import Any, Literal, Self

from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from datamodules.folder.building import OnCorrupt
from datamodules.folder.contents.class_order import take_order
from datamodules.folder.contents.image_record import RunImages
from datamodules.folder.contents.parts import Parts, classes_without
from datamodules.folder.listing.layout import ALL, Layout, class_folders, find_layout
from datamodules.folder.sizing import Sizing
from datamodules.folder.split_cache import FolderCache
from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import ImageDataset, Images
from datamodules.memory.loading import ImageLoader
from datamodules.memory.normalisation import Statistics
from foundation.argument_checks import require_choice, require_fraction
from foundation.errors import UserError
from foundation.network_input import Interpolation


class ImageFolderDataModule(ImageDataModule):
    """Images in folders named after their classes, decoded once into a cache that is read when it is used.

    ``root/train/<class>/…`` and ``root/test/<class>/…`` hold the images. The validation set is
    ``root/val/<class>/…``, or else about ``val_share`` of every class in ``train``. Folders below a class belong to it;
    hidden ones are ignored. Test images are opened only by ``test`` and ``predict``. Images are normalised with the
    mean and standard deviation of ``train``.

    In an unsplit folder, which has ``root/<class>/…`` but no ``train``, about ``test_share`` of every class is the
    test set, and the rest is used like ``train``. Which set an image belongs to depends on its content only: see
    ``split_by_content``. A checkpoint holds hashes of its run's images; ``test``, ``evaluate`` and a resumed ``fit``
    say how today's differ. A run of an earlier version keeps the split by place that it began with.

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
        self._layout: Layout | None = None
        self._classes_are_given = class_names is not None
        self._class_names = None if class_names is None else [unicodedata.normalize("NFC", n) for n in class_names]
        self._caches: dict[str, FolderCache] = {}
        self._images = RunImages()

    @property
    def class_names(self) -> list[str]:
        """The given names, or else those of the folders in ``train``: numbers by value, names by the alphabet."""
        if self._class_names is None:
            split = ALL if self.is_unsplit else "train"
            names = class_folders(self.root, split)
            if len(names) < 2:
                folder = self.layout.folder(split)
                raise UserError(f"{folder} has one class only, {names[0]}: a classifier needs at least two.")
            self._class_names = names
        return self._class_names

    @property
    def layout(self) -> Layout:
        """Where the images lie; once known it stays."""
        if self._layout is None:
            found = find_layout(self.root)
            if not self.root.is_dir():
                return found
            self._layout = found
        return self._layout

    @property
    def is_unsplit(self) -> bool:
        """Whether the class folders are in ``root`` itself."""
        return self.layout.is_unsplit

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
        testing = not self.is_unsplit and self.trainer and self.trainer.testing | self.trainer.predicting
        for name in dict.fromkeys(self.parts.folder_of(part) for part in (("test",) if testing else ("train", "val"))):
            self._cache(name).find()
            self._images.say(self._cache(name).skipped())
        if self.layout.others:
            self._images.say(f"Not used, beside the folders of {self.root}: {', '.join(self.layout.others)}.")
        if self.is_unsplit:
            self._images.say(
                f"{self.root} has no train and test folders: about {self.test_share:.0%} of every class, always the "
                "same images, whatever is added or deleted, are the test set (data.test_share)."
            )

    @property
    def parts(self) -> Parts:
        """The rule that divides the images."""
        own_way = type(self).split_rows is not ImageFolderDataModule.split_rows
        by_place = self.split_rows if own_way or self._images.by_place else None
        return Parts(self.layout, self.test_share, self.val_share, self.split_seed, by_place)

    def open(self, stage: str) -> None:
        """Open the data sets of a stage; parts of the same folder share one memory-mapped file."""
        parts, rule = ("test",) if stage in ("test", "predict") else ("train", "val"), self.parts
        files = {name: self._cache(name).opened() for name in dict.fromkeys(map(rule.folder_of, parts))}
        for part in parts:
            images, index = files[rule.folder_of(part)]
            rows = rule.rows(part, images.targets, index.keys[:, 0])
            setattr(self, f"{part}_set", ImageDataset(images, rows))
            self._images.note(part, index, rows)
            if part != "train" and (few := classes_without(images.targets[rows], self.class_names)):
                name = "validation" if part == "val" else part
                self._images.say(f"No image for the {name} set of {', '.join(few[:10])}{', …' * (len(few) > 10)}.")
        if self.is_unsplit and "train" in parts:  # a checkpoint knows its test images too
            self._images.note("test", index, rule.rows("test", images.targets, index.keys[:, 0]))
        self._images.compare(resuming="train" in parts and self._is_fitting())

    def path_of(self, part: str, row: int) -> Path:
        """Return the file of an image of a data set.

        Args:
            part: ``train``, ``val`` or ``test``, which is open.
            row: Number of the image, as batches have it.
        """
        return self._cache(self.parts.folder_of(part)).source / self._images.indexes[part].names[row]

    def images_in_use(self) -> dict[str, Tensor]:
        """Return hashes of content and name ``(N, 2)`` of the images of each part that is known."""
        return dict(self._images.now)

    def training_images(self) -> Images:
        """Return the images for training and validation, if these share a folder; copied, if the test does too."""
        return self._folder_of("train", "rest")

    def validation_images(self) -> Images | None:
        """Return the images in ``val``, if it exists."""
        return self._cache("val").images() if "val" in self.layout.splits else None

    def test_images(self) -> Images:
        """Return the test images; copied, if they share a folder with others."""
        return self._folder_of("test", "test")

    def _folder_of(self, part: str, selected: str) -> Images:
        images, index = self._cache(self.parts.folder_of(part)).opened()
        rows = self.parts.rows(selected, images.targets, index.keys[:, 0]) if self.is_unsplit else None
        return images if rows is None else images.select(rows)

    def data_statistics(self) -> Statistics:
        """Return the statistics of all images in the folder of the training set but those for the test."""
        cache = self._cache(self.parts.folder_of("train"))
        if not self.is_unsplit:
            return cache.find()[1].statistics
        images, index = cache.opened()
        return index.statistics(self.parts.rows("rest", images.targets, index.keys[:, 0]))

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

    def setup(self, stage: str) -> None:
        """Open the data sets of the stage; ``fit`` forgets what was loaded from an earlier checkpoint."""
        if stage == "fit":
            self._images.forget()
        super().setup(stage)

    def state_dict(self) -> dict[str, Any]:
        """Add the classes, and hashes of the images of each part that is known."""
        if self._images.by_place:
            return super().state_dict()
        return super().state_dict() | {"images": self.images_in_use(), "class_names": list(self.class_names)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the position and compare the images; a run of an earlier version keeps its split and its classes."""
        self._images.load(state_dict)
        names = state_dict.get("class_names")
        known = self._class_names or (self.class_names if self._images.by_place else [])
        if (known and take_order(known, names, self._classes_are_given)) or self._images.by_place:
            self._reopen()
        super().load_state_dict(state_dict)
        if self._images.by_place and self.is_unsplit and self.test_set is not None:
            self._warn_of_moved_rows(state_dict["split"])
        self._images.compare(self._is_fitting())

    def _reopen(self) -> None:
        opened = (self.train_set is not None, self.test_set is not None)
        for stage, is_open in zip(("fit", "test"), opened, strict=True):
            if is_open:
                self.open(stage)

    def _warn_of_moved_rows(self, split: str) -> None:
        """Compare the validation rows of an earlier version's run, the only ones that its checkpoint knows."""
        images, index = self._cache(ALL).opened()
        rows = self.parts.rows("val", images.targets, index.keys[:, 0])
        if split and split != ImageDataset(images, rows).digest():
            rank_zero_warn(
                f"{self.root}: the folder has changed since this run, which chose its test images by place, as earlier "
                "versions did: some of today's test images may be among those that it was trained on."
            )

    def _split_hash(self) -> str:
        return super()._split_hash() if self._images.by_place else ""  # the images themselves are compared

    def __copy__(self) -> Self:
        """Copy for a trial, which must not change what this run knows of its images."""
        copied = super().__copy__()
        copied._images = copy.copy(self._images)
        return copied

    def _is_fitting(self) -> bool:
        return self.trainer is not None and self.trainer.state.fn == TrainerFn.FITTING

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
