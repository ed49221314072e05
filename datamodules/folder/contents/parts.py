"""Which images of a folder are for training, validation and test."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.folder.contents.image_split import choice_of_test, choice_of_validation, split_by_content
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
    """

    layout: Layout
    test_share: float
    val_share: float
    split_seed: int
    by_place: SplitRows | None

    def folder_of(self, part: str) -> str:
        """Return the split whose folder holds the images of a part."""
        if self.layout.is_unsplit:
            return ALL
        return "train" if part == "val" and "val" not in self.layout.splits else part

    def rows(self, part: str, targets: Tensor, keys: Tensor) -> Tensor:
        """Return the rows of a part among the images of its folder, ascending.

        Args:
            part: ``train``, ``val`` or ``test``, or ``rest`` for all but the test.
            targets: Of all images in the folder.
            keys: Hash of the content of each.

        Raises:
            UserError: No image is left for one of the sets.
        """
        rows = torch.arange(len(targets))
        if self.layout.is_unsplit:
            rest, test = self._divide(targets, keys, self.test_share, choice_of_test(), TEST_SEED, 2)
            if part == "test":
                return test
            rows = rest
        if part in ("test", "rest") or "val" in self.layout.splits:
            return rows
        choice = choice_of_validation(self.split_seed)
        train, val = self._divide(targets[rows], keys[rows], self.val_share, choice, self.split_seed, 1)
        return rows[train if part == "train" else val]

    def _divide(
        self, targets: Tensor, keys: Tensor, share: float, choice: int, seed: int, keep: int
    ) -> tuple[Tensor, Tensor]:
        if self.by_place is not None:
            return self.by_place(targets, share, seed)
        first, second = split_by_content(keys, targets, share, choice, keep)
        if not len(second):
            name = "validation" if keep == 1 else "test"
            raise UserError(f"{self.layout.root} has one image of each class: none is left for the {name} set.")
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
