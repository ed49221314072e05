"""Which image files are meant by folders and files on the command line."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from datamodules.folder.decoding import ENDINGS
from datamodules.folder.tree import is_image
from foundation.errors import UserError


class Found(NamedTuple):
    """Image files.

    Args:
        paths: As they are named, folders' contents sorted; each once.
        strangers: How many files of the folders are no images by their ending.
    """

    paths: list[str]
    strangers: int


def find_images(images: list[str]) -> Found:
    """The files, and those in the folders and their subfolders; hidden ones do not count.

    Args:
        images: Folders and files. A file that is named counts whatever its ending.

    Raises:
        FileNotFoundError: One does not exist; the message says what comes near.
        UserError: There is no image.
    """
    paths: list[str] = []
    strangers = 0
    for image in images:
        if not os.path.isdir(image):  # noqa: PTH112 - a Path for each of thousands of files is slow
            paths.append(_existing(image))
            continue
        for path in _files(image, set()):
            if is_image(path):
                paths.append(path)
            else:
                strangers += 1
    if not paths:
        raise UserError(
            f"no images in {', '.join(images)}, {strangers} other files; "
            f"endings that count: {' '.join(sorted(ENDINGS))}."
        )
    return Found(list(dict.fromkeys(paths)), strangers)


def _files(folder: str, seen: set[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in seen:  # a link that leads back
        return
    seen.add(real)
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(entry.path, seen)
        else:
            yield entry.path


def _existing(image: str) -> str:
    path = Path(image)
    if not path.is_file():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        near = get_close_matches(path.name, beside, n=1)
        hint = f"did you mean {path.parent / near[0]}?" if near else "give a folder or image files."
        raise FileNotFoundError(f"--images {image} does not exist; {hint}")
    return image
