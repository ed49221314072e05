"""Find labelled images: one folder per class, for the classes of a trained network."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from datamodules.folder.listing.layout import folders_by_class, split_named
from descent.inference.prediction.image_files import find_images
from foundation.errors import UserError


class LabelledImages(NamedTuple):
    """Image files and their classes.

    Args:
        paths: The files, class by class.
        targets: Index of each file's class.
        missing_classes: Classes of the network without images.
        other_files: How many files do not have an image's file extension.
    """

    paths: list[str]
    targets: list[int]
    missing_classes: list[str]
    other_files: int


def find_labelled_images(folder: Path, class_names: Sequence[str]) -> LabelledImages:
    """Find the images in ``folder/<class>/…``.

    Args:
        folder: The folder with the class folders; hidden folders are ignored.
        class_names: Names of the network's classes.

    Raises:
        FileNotFoundError: The folder does not exist.
        NotADirectoryError: It is a file.
        UserError: It has no class folders, the folder of an unknown class, or no image.
    """
    if not folder.exists():
        raise FileNotFoundError(f"--images {folder} does not exist; give a folder that has a folder for each class.")
    if not folder.is_dir():
        raise NotADirectoryError(f"--images {folder} is a file; give a folder that has a folder for each class.")
    folders = folders_by_class(folder)
    names = sorted(folders)
    _check_class_folders(folder, names, class_names)
    paths: list[str] = []
    targets: list[int] = []
    other_files = 0
    for name in names:
        try:
            found = find_images([str(folder / below) for below in folders[name]])
        except UserError:  # an empty folder: reported as a missing class
            continue
        paths += found.paths
        targets += [class_names.index(name)] * len(found.paths)
        other_files += found.other_files
    if not paths:
        raise UserError(f"no images in the class folders of {folder}: {_first_ten(names)}.")
    missing = [name for number, name in enumerate(class_names) if number not in set(targets)]
    return LabelledImages(paths, targets, missing, other_files)


def _check_class_folders(folder: Path, names: list[str], class_names: Sequence[str]) -> None:
    if not names:
        raise UserError(
            f"{folder} has no folders: put the images into {folder}/<class>/, with the classes "
            f"{_first_ten(class_names)}. To classify images without labels: descent predict --images."
        )
    unknown = [name for name in names if name not in class_names]
    if not unknown:
        return
    splits = [name for name in unknown if split_named(name)]
    if splits:
        raise UserError(f"{folder} contains {', '.join(splits)}: did you mean --images {folder / splits[-1]}?")
    hints = [f"{name}{_suggestion(name, class_names)}" for name in unknown[:10]] + unknown[10:]
    raise UserError(
        f"{folder} has folders of classes that the network does not know: {_first_ten(hints)}. "
        f"Its classes are {_first_ten(class_names)}. Rename or remove the folders."
    )


def _suggestion(name: str, known: Sequence[str]) -> str:
    lower = {other.lower(): other for other in known}
    similar = get_close_matches(name.lower(), lower, n=1)
    return f" (did you mean {lower[similar[0]]}?)" if similar else ""


def _first_ten(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
