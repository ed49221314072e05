"""Base class of data from files, whose checkpoints know their images and say how today's differ."""

import copy
from abc import abstractmethod
from pathlib import Path
from typing import Any, Self

from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from datamodules.folder.contents.class_order import take_order
from datamodules.folder.contents.image_record import RunImages
from datamodules.folder.contents.parts import Parts
from datamodules.folder.listing.layout import ALL
from datamodules.folder.split_cache import FolderCache
from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import ImageDataset


class ComparedImages(ImageDataModule):
    """Base class of data from files: a checkpoint holds hashes of its images, and the order of the classes.

    Args:
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.
    """

    classes_are_given: bool = False
    """Whether the config names the classes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_images = RunImages()

    @property
    @abstractmethod
    def parts(self) -> Parts:
        """The rule that divides the images."""

    @abstractmethod
    def cache(self, split: str) -> FolderCache:
        """Return the cache of a split."""

    def path_of(self, part: str, row: int) -> Path:
        """Return the file of an image of a data set.

        Args:
            part: ``train``, ``val`` or ``test``, which is open.
            row: Number of the image, as batches have it.
        """
        return self.cache(self.parts.folder_of(part)).source / self.run_images.parts[part].index.names[row]

    def images_in_use(self) -> dict[str, Tensor]:
        """Return hashes of content and name ``(N, 2)`` of the images of each part that is known."""
        return self.run_images.now

    def setup(self, stage: str) -> None:
        """Open the data sets of the stage; ``fit`` forgets what was loaded from an earlier checkpoint."""
        if stage == "fit":
            self.run_images.forget()
        super().setup(stage)

    def state_dict(self) -> dict[str, Any]:
        """Add the classes, and hashes of the images of each part that is known."""
        if self.run_images.by_place:
            return super().state_dict()
        return super().state_dict() | {"images": self.images_in_use(), "class_names": list(self.class_names)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the position and compare the images; a run of an earlier version keeps its split and its classes."""
        self.run_images.load(state_dict)
        names = state_dict.get("class_names")
        moved = take_order(self.class_names, names, self.classes_are_given)
        if moved or self.run_images.by_place:
            self._reopen()
        super().load_state_dict(state_dict)
        if self.run_images.by_place and self.parts.layout.is_unsplit and self.test_set is not None:
            self._warn_of_moved_rows(state_dict["split"])
        self.run_images.compare(self.is_fitting(), self.parts.layout.is_unsplit)

    def _reopen(self) -> None:
        opened = (self.train_set is not None, self.test_set is not None)
        for stage, is_open in zip(("fit", "test"), opened, strict=True):
            if is_open:
                self.open(stage)

    def _warn_of_moved_rows(self, split: str) -> None:
        """Compare the validation rows of an earlier version's run, the only ones that its checkpoint knows."""
        images, index = self.cache(ALL).opened()
        rows = self.parts.rows("val", images.targets, index)
        if split and split != ImageDataset(images, rows).digest():
            rank_zero_warn(
                f"{self.parts.layout.root}: the folder has changed since this run, which chose its test images by "
                "place, as earlier versions did: it may have been trained on some of today's test images."
            )

    def _split_hash(self) -> str:
        return super()._split_hash() if self.run_images.by_place else ""  # the images themselves are compared

    def __copy__(self) -> Self:
        """Copy for a trial, which must not change what this run knows of its images."""
        copied = super().__copy__()
        copied.run_images = copy.copy(self.run_images)
        return copied

    def is_fitting(self) -> bool:
        """Return whether the trainer trains."""
        return self.trainer is not None and self.trainer.state.fn == TrainerFn.FITTING
