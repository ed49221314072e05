"""Which images of a folder are for training, validation and test."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.folder.contents.image_index import ImageIndex
from datamodules.folder.contents.image_split import choice_of_test, choice_of_validation, split_by_content
from datamodules.folder.listing.label_table import LabelTable
from datamodules.folder.listing.layout import ALL, Layout
from datamodules.memory.split import TEST_SEED
from foundation.errors import UserError

SplitRows = Callable[[Tensor, float, int], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Parts:
    """The rule that divides the images of a root into parts.

    Args:
        layout: Where the images lie.
        test_share: Share of the test set, where all images lie together.
        val_share: Share of the validation set of the others, where they have no folder for it.
        split_seed: Of the validation set.
        by_place: Divides rows by their places, as earlier versions did, or as a subclass does; None divides images by
            their content.
        table: Names the images; it may say to which part each belongs.
        removed: Hashes of contents that are left out of training and of the validation images from its folder.
    """

    layout: Layout
    test_share: float
    val_share: float
    split_seed: int
    by_place: SplitRows | None
    table: LabelTable | None = None
    removed: Tensor | None = None

    def folder_of(self, part: str) -> str:
        """Return the split whose folder holds the images of a part."""
        if self.layout.is_unsplit:
            return ALL
        return "train" if part == "val" and "val" not in self.layout.splits else part

    def rows(self, part: str, targets: Tensor, index: ImageIndex) -> Tensor:
        """Return the rows of a part among the images of its folder, ascending.

        Args:
            part: ``train``, ``val`` or ``test``, or ``rest`` for all but the test.
            targets: Of all images in the folder.
            index: Of all images in the folder.

        Raises:
            UserError: No image is left for one of the sets.
        """
        rows, keys, has_val = torch.arange(len(targets)), index.keys[:, 0], "val" in self.layout.splits
        if self.table is not None and self.table.splits:
            splits = [self.table.split_of(name) for name in index.names]
            has_val = "val" in splits
            rows = self._of_table(part if part == "test" or (part == "val" and has_val) else "train", splits)
            if part != "rest" and not len(rows):
                what = "the test" if part == "test" else "training"
                raise UserError(f"{self.table.file} says of no image that it is for {what}.")
            if part == "rest" and has_val:
                rows = torch.cat([rows, self._of_table("val", splits)]).sort().values
        elif self.layout.is_unsplit:
            rest, test = self._divide(targets, keys, self.test_share, choice_of_test(), TEST_SEED, 2)
            if part == "test":
                return test
            rows = rest
        if self.removed is not None and (part == "train" or (part == "val" and not has_val)):
            rows = rows[~torch.isin(keys[rows], self.removed)]
            if not len(rows):
                raise UserError(
                    f"data.on_duplicate=remove leaves no training image of {self.layout.root}: each is a validation or "
                    "test image too."
                )
        if part in ("test", "rest") or has_val:
            return rows
        choice = choice_of_validation(self.split_seed)
        train, val = self._divide(targets[rows], keys[rows], self.val_share, choice, self.split_seed, 1)
        return rows[train if part == "train" else val]

    @staticmethod
    def _of_table(split: str, splits: list[str]) -> Tensor:
        return torch.tensor([row for row, name in enumerate(splits) if name == split], dtype=torch.int64)

    def _divide(
        self, targets: Tensor, keys: Tensor, share: float, choice: int, seed: int, keep: int
    ) -> tuple[Tensor, Tensor]:
        if self.by_place is not None:
            return self.by_place(targets, share, seed)
        first, second = split_by_content(keys, targets, share, choice, keep)
        if not len(second):
            images, name = ("training image", "validation") if keep == 1 else ("image", "test")
            raise UserError(f"{self.layout.root} has one {images} of each class: none is left for the {name} set.")
        return first, second


def classes_without(targets: Tensor, class_names: list[str]) -> list[str]:
    """Return the classes that have no image.

    Example:
        >>> classes_without(torch.tensor([0, 0]), ["cat", "dog"])
        ['dog']
    """
    if targets.ndim != 1:
        return []
    counts = torch.bincount(targets, minlength=len(class_names)).tolist()
    return [name for name, count in zip(class_names, counts, strict=True) if count == 0]
