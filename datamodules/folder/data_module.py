"""Data source for images in class folders: train/<class>/, test/<class>/ and, optionally, val/<class>/."""

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from datamodules.folder.building import OnCorrupt
from datamodules.folder.compared_images import ComparedImages
from datamodules.folder.contents.copies import Part
from datamodules.folder.contents.image_index import ImageIndex
from datamodules.folder.contents.parts import Parts, classes_without
from datamodules.folder.decoding import Resize
from datamodules.folder.file_keys import index_of_files
from datamodules.folder.listed_cache import ListedCache
from datamodules.folder.listing.label_table import LabelTable, read_labels
from datamodules.folder.listing.layout import ALL, Layout, class_folders, differ_in_case, find_layout
from datamodules.folder.opening import MOST_PIXELS
from datamodules.folder.sizing import Sizing
from datamodules.folder.split_cache import FolderCache
from datamodules.memory.images import ImageDataset, Images
from datamodules.memory.loading import ImageLoader
from datamodules.memory.normalisation import Statistics
from foundation.argument_checks import require_choice, require_fraction
from foundation.errors import UserError
from foundation.files import shown
from foundation.network_input import Interpolation


class ImageFolderDataModule(ComparedImages):
    """Images in folders named after their classes, decoded once into a cache that is read when it is used.

    ``root/train/<class>/…`` and ``root/test/<class>/…`` hold the images. The validation set is
    ``root/val/<class>/…``, or else about ``val_share`` of every class in ``train``. Folders below a class belong to it;
    hidden ones are ignored. Test images are decoded only by ``test`` and ``predict``; a fit reads their files once, to
    find copies. Images are normalised with the mean and standard deviation of ``train``.

    In an unsplit folder, which has ``root/<class>/…`` but no ``train``, about ``test_share`` of every class is the
    test set, and the rest is used like ``train``. Which set an image belongs to depends on its content only: see
    ``split_by_content``. A checkpoint holds hashes of its run's images; ``test``, ``evaluate`` and a resumed ``fit``
    say how today's differ. A run of an earlier version keeps the split by place that it began with.

    Args:
        root: The folder.
        image_size: Height and width of the images that the network gets, or one number for both; ≥ 1. ``network``: the
            size that its weights were trained with.
        mode: ``RGB``, or ``L`` for grey.
        resize: ``crop``: scale to cover the size and cut out the middle; ``squash``: scale both sides to the size;
            ``letterbox``: scale to fit into the size and fill the rest with grey, so that nothing is lost.
        cache_dir: Folder of the cache. Default: ``.descent_cache`` in ``root``, or in the user's cache folder if
            ``root`` is not writable.
        on_corrupt: ``stop`` at images that cannot be decoded, or ``skip`` them and report how many.
        on_duplicate: ``report`` validation and test images whose files are among the training images too, or ``remove``
            them from training.
        class_names: Names of the class folders in the order of their class numbers. Default: those in ``train``,
            sorted; for a trained network, those it was trained on.
        test_share: Share of every class that is the test set of an unsplit folder, in (0, 1).
        stored_size: Height and width of the images in the cache, at least ``image_size``: the network gets their
            middle, and random crops of them where an augmentation crops. Default: for a pretrained network, from its
            crop share; else ``image_size``.
        interpolation: How images are resized: ``bilinear`` or ``bicubic``, with antialiasing. Default: as a pretrained
            network wants, else bilinear.
        grey_bits: Bits of the values in 16-bit grey files, in [8, 16]. Default: of each file, 12 if no value is above
            4095, else 16.
        max_pixels: Pixels that an image may have, ≥ 1, against small files that fill the memory; of a JPEG, those at
            the size at which it is decoded. Larger images are corrupt.
        labels: A CSV file that names the images in ``root`` and their labels, instead of class folders; see
            ``read_labels``. A column ``split`` may hold train, val and test.
        columns: Its column of paths, then that of labels, or one column of 0 and 1 for each label. Default: by name.
        several_labels: Whether an image may have several labels, or none; for a multi-label task.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Raises:
        ValueError: If an argument is outside its range.
    """

    def __init__(
        self,
        root: str,
        image_size: int | tuple[int, int] | Literal["network"] = 32,
        mode: Literal["RGB", "L"] = "RGB",
        resize: Resize = "crop",
        cache_dir: str | None = None,
        on_corrupt: OnCorrupt = "stop",
        class_names: list[str] | None = None,
        test_share: float = 0.2,
        stored_size: int | tuple[int, int] | None = None,
        interpolation: Interpolation | None = None,
        grey_bits: int | None = None,
        max_pixels: int = MOST_PIXELS,
        labels: str | None = None,
        columns: list[str] | None = None,
        several_labels: bool = False,
        on_duplicate: Literal["report", "remove"] = "report",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sizing = Sizing(image_size, stored_size, interpolation)
        self.form, self._size = self.sizing.form(mode, resize, None, grey_bits, max_pixels)
        require_choice("on_corrupt", on_corrupt, ("stop", "skip"))
        require_choice("on_duplicate", on_duplicate, ("report", "remove"))
        self.on_duplicate = on_duplicate
        require_fraction("test_share", test_share)
        self.root, self.on_corrupt, self.test_share = Path(root).expanduser(), on_corrupt, test_share
        self.cache_dir = None if cache_dir is None else Path(cache_dir).expanduser()
        if labels is None and (columns is not None or several_labels):
            raise ValueError("columns and several_labels describe a CSV file: give labels too.")
        self.labels = None if labels is None else Path(labels).expanduser()
        self.columns, self.several_labels = columns, several_labels
        self._table: LabelTable | None = None
        self._layout: Layout | None = None
        self._class_names = None if class_names is None else [unicodedata.normalize("NFC", n) for n in class_names]
        self._caches: dict[str, FolderCache] = {}
        self.classes_are_given = class_names is not None

    @property
    def class_names(self) -> list[str]:
        """The given names, or else those of the folders in ``train``: numbers by value, names by the alphabet."""
        if self._class_names is None and self.table is not None:
            self._class_names = list(self.table.names)
        if self._class_names is None:
            split = ALL if self.is_unsplit else "train"
            names = class_folders(self.root, split)
            if len(names) < 2:
                folder = self.layout.folder(split)
                raise UserError(f"{folder} has one class only, {names[0]}: a classifier needs at least two.")
            self._class_names = names
        return self._class_names

    @property
    def table(self) -> LabelTable | None:
        """The labels of a CSV file, if they are in one."""
        if self._table is None and self.labels is not None:
            self._table = read_labels(self.labels, self.columns, self.several_labels)
        return self._table

    @property
    def layout(self) -> Layout:
        """Where the images lie; once known it stays."""
        if self._layout is None:
            found = find_layout(self.root) if self.labels is None else Layout(self.root, {})
            if not self.root.is_dir():
                return found
            self._layout = found
        return self._layout.of_earlier_version() if self.run_images.by_place else self._layout

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
        form, known = self.form, self.network_input
        form, self._size = self.sizing.form(form.mode, form.resize, known, form.grey_bits, form.max_pixels)
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
            self.run_images.say(self.cache(name).skipped())
        self.run_images.say(differ_in_case(self.class_names))
        if self.layout.others:
            self.run_images.say(f"Not used, beside the folders of {shown(self.root)}: {', '.join(self.layout.others)}.")
        if self.is_unsplit and not (self.table and self.table.splits):
            missing = "train and test folders" if self.labels is None else "column of splits"
            self.run_images.say(
                f"{shown(self.labels or self.root)} has no {missing}: about {self.test_share:.0%} of "
                f"{'the images' if self.several_labels else 'every class'}, always the same, whatever is added or "
                "deleted, are the test set (data.test_share)."
            )

    @property
    def parts(self) -> Parts:
        """The rule that divides the images."""
        own_way = type(self).split_rows is not ImageFolderDataModule.split_rows
        by_place = self.split_rows if own_way or self.run_images.by_place else None
        return Parts(self.layout, self.test_share, self.val_share, self.split_seed, by_place, self.table)

    def open(self, stage: str) -> None:
        """Open the data sets of a stage; parts of the same folder share one memory-mapped file."""
        parts, rule = ("test",) if stage in ("test", "predict") else ("train", "val"), self.parts
        files = {name: self.cache(name).opened() for name in dict.fromkeys(map(rule.folder_of, parts))}
        if "train" in parts:
            self._note_test(files.get(ALL))
            if self.on_duplicate == "remove":
                rule = replace(rule, removed=self._held_out(files))
        for part in parts:
            images, index = files[rule.folder_of(part)]
            rows = rule.rows(part, images.targets, index)
            setattr(self, f"{part}_set", ImageDataset(images, rows))
            self.run_images.note(part, Part(self.cache(rule.folder_of(part)).source, index, rows))
            if part != "train" and (few := classes_without(images.targets[rows], self.class_names)):
                name = "validation" if part == "val" else part
                self.run_images.say(f"No image for the {name} set of {', '.join(few[:10])}{', …' * (len(few) > 10)}.")
        if "train" in parts:
            folder = self.cache(rule.folder_of("train")).folder
            self.run_images.warn_of_copies(folder / "duplicates.csv", self.on_duplicate == "remove")
        self.run_images.compare("train" in parts and self.is_fitting(), self.parts.layout.is_unsplit)

    def _note_test(self, together: tuple[Images, ImageIndex] | None) -> None:
        """Note the test images, so that a checkpoint knows them and copies of them are found; none is decoded."""
        says_test = self.table is None or not self.table.splits or "test" in self.table.splits.values()
        if together is not None and says_test:
            rows = self.parts.rows("test", together[0].targets, together[1])
            self.run_images.note("test", Part(self.root, together[1], rows))
        elif together is None and "test" in self.layout.splits:
            folder = self.layout.folder("test")
            index = index_of_files(folder, self.cache("train").folder)
            if index is not None:
                self.run_images.note("test", Part(folder, index, torch.arange(len(index.table))))

    def _held_out(self, files: dict[str, tuple[Images, ImageIndex]]) -> Tensor:
        """Return hashes of the contents of the test images, and of validation images that are given."""
        parts = self.run_images.parts
        found = [parts["test"].contents] if "test" in parts else []
        if "val" in files or (self.table is not None and "val" in self.table.splits.values()):
            images, index = files[self.parts.folder_of("val")]
            found.append(index.keys[self.parts.rows("val", images.targets, index), 0])
        return torch.cat(found) if found else torch.empty(0, dtype=torch.int64)

    def training_images(self) -> Images:
        """Return the images for training and validation, if these share a folder; copied, if the test does too."""
        return self._folder_of("train", "rest")

    def validation_images(self) -> Images | None:
        """Return the images in ``val``, if it exists."""
        return self.cache("val").images() if "val" in self.layout.splits else None

    def test_images(self) -> Images:
        """Return the test images; copied, if they share a folder with others."""
        return self._folder_of("test", "test")

    def _folder_of(self, part: str, selected: str) -> Images:
        images, index = self.cache(self.parts.folder_of(part)).opened()
        rows = self.parts.rows(selected, images.targets, index) if self.is_unsplit else None
        return images if rows is None else images.select(rows)

    def data_statistics(self) -> Statistics:
        """Return the statistics of all images in the folder of the training set but those for the test."""
        cache = self.cache(self.parts.folder_of("train"))
        if not self.is_unsplit:
            return cache.find()[1].statistics
        images, index = cache.opened()
        return index.statistics(self.parts.rows("rest", images.targets, index))

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

    def cache(self, split: str) -> FolderCache:
        """Return the cache of a split."""
        if split not in self._caches and self.table is not None:
            self._caches[split] = ListedCache(
                self.root, self.table, self.form, self.class_names, self.cache_dir, self.on_corrupt
            )
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
