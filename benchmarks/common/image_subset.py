"""A part of a folder of images, as a folder of its own."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

TURNED = "upside_down_"


def copy_subset(
    images: Path, folder: Path, counts: Mapping[str, int], classes: int | None = None, turned: bool = False
) -> None:
    """Copy the first images of each class.

    Args:
        images: Folder with ``split/class/…``.
        folder: Where the copy is made, in the same layout.
        counts: Images of each class by split.
        classes: Number of classes, the first by name; by default all.
        turned: Whether there are twice as many classes: after all others, each once more, its images upside down.
    """
    for split, count in counts.items():
        found = sorted((images / split).iterdir())
        sources = [(source, "") for source in found] + [(source, TURNED) for source in found if turned]
        for source, prefix in sources[:classes]:
            target = folder / split / f"{prefix}{source.name}"
            target.mkdir(parents=True)
            for file in sorted(source.iterdir())[:count]:
                if prefix:
                    Image.open(file).transpose(Image.Transpose.ROTATE_180).save(target / file.name)
                else:
                    shutil.copy(file, target)
