"""A part of a folder of images, as a folder of its own."""

import shutil
from collections.abc import Mapping
from pathlib import Path


def copy_subset(images: Path, folder: Path, counts: Mapping[str, int], classes: int | None = None) -> None:
    """Copy the first images of each class.

    Args:
        images: Folder with ``split/class/…``.
        folder: Where the copy is made, in the same layout.
        counts: Images of each class by split.
        classes: Number of classes, the first by name; by default all.
    """
    for split, count in counts.items():
        for source in sorted((images / split).iterdir())[:classes]:
            target = folder / split / source.name
            target.mkdir(parents=True)
            for file in sorted(source.iterdir())[:count]:
                shutil.copy(file, target)
