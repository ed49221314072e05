"""Images in folders that are named after their classes, for a network that is trained."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from descent.inference.prediction.image_files import find_images
from foundation.errors import UserError

PARTS = ("train", "val", "test")


class Labelled(NamedTuple):
    """Image files and their classes.

    Args:
        paths: The files, class by class.
        targets: Their classes.
        missing: Classes of the network that have no folder, or none with images in it.
        strangers: How many files are no images by their ending.
    """

    paths: list[str]
    targets: list[int]
    missing: list[str]
    strangers: int


def find_labelled(folder: Path, class_names: Sequence[str]) -> Labelled:
    """The images in ``folder/<class>/…``.

    Args:
        folder: With the class folders in it; hidden ones do not count.
        class_names: Of the network.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: It is a file.
        UserError: It has no class folders, one of a class that the network does not know, or no
            image.
    """
    if not folder.exists():
        raise FileNotFoundError(f"--images {folder} does not exist; give a folder with one folder a class in it.")
    if not folder.is_dir():
        raise NotADirectoryError(f"--images {folder} is a file; give a folder with one folder a class in it.")
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    _check(folder, names, class_names)
    paths: list[str] = []
    targets: list[int] = []
    strangers = 0
    for name in names:
        try:
            found = find_images([str(folder / name)])
        except UserError:  # an empty one: said as a missing class
            continue
        paths += found.paths
        targets += [class_names.index(name)] * len(found.paths)
        strangers += found.strangers
    if not paths:
        raise UserError(f"no images in the class folders of {folder}: {_some(names)}.")
    present = set(targets)
    missing = [name for number, name in enumerate(class_names) if number not in present]
    return Labelled(paths, targets, missing, strangers)


def _check(folder: Path, names: list[str], class_names: Sequence[str]) -> None:
    if not names:
        raise UserError(
            f"{folder} has no folders: images go into {folder}/<class>/, with the classes {_some(class_names)}. "
            "Without classes: descent predict --images."
        )
    unknown = [name for name in names if name not in class_names]
    if not unknown:
        return
    parts = [name for name in unknown if name in PARTS]
    if parts:
        raise UserError(f"{folder} holds {', '.join(parts)}: did you mean --images {folder / parts[-1]}?")
    hints = [f"{name}{_near(name, class_names)}" for name in unknown[:5]]
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    raise UserError(
        f"{folder} has folders of classes that the network does not know: {', '.join(hints)}{more}. "
        f"It knows {_some(class_names)}. Rename or remove them."
    )


def _near(name: str, known: Sequence[str]) -> str:
    lower = {other.lower(): other for other in known}
    near = get_close_matches(name.lower(), lower, n=1)
    return f" (did you mean {lower[near[0]]}?)" if near else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
