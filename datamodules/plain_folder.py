"""Folders of classes that nobody has parted into train and test."""

import os
from pathlib import Path

from torch import Tensor

from datamodules.folder_tree import is_picture
from datamodules.normalisation import Statistics, pixel_statistics
from datamodules.pictures import Pictures
from datamodules.split import stratified_split

ALL = "."
PARTS = ("train", "val", "test")
_TEST_SEED = 0  # the same test pictures for everyone, whatever the run's seeds: nothing may be tuned on them
_ENOUGH = 10_000


def is_plain(root: Path) -> bool:
    """Whether ``root/<class>/…`` holds pictures, and ``root`` is neither parted nor a part nor the folder above."""
    if not root.is_dir() or root.resolve().name in PARTS:
        return False
    folders = [entry for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")]
    inside = [list(os.scandir(folder.path)) for folder in folders]
    parted = [entry.name in PARTS for entries in (folders, *inside) for entry in entries if entry.is_dir()]
    return not any(parted) and any(is_picture(entry.name) for entries in inside for entry in entries)


def kept_for_test(pictures: Pictures, share: float, class_names: list[str]) -> tuple[Tensor, Tensor]:
    """Rows to train and validate on, and a fixed share of every class to test on."""
    return stratified_split(pictures.targets, share, _TEST_SEED, class_names)


def statistics_of(pictures: Pictures, rows: Tensor) -> Statistics:
    """Of some 10,000 of the rows, evenly; the rest would not change the third digit."""
    return pixel_statistics(pictures.pixels[rows[:: -(-len(rows) // _ENOUGH)]])
