"""Find the image files that folders and files on the command line stand for."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from datamodules.folder.listing.junk import ENDINGS, is_folder, is_image, is_junk, is_special
from foundation.errors import UserError
from foundation.processes import say


class ImageFiles(NamedTuple):
    """Image files.

    Args:
        paths: Each file once, relative to what was given; the files of a folder are sorted.
        other_files: How many files in the folders do not have an image's file extension.
    """

    paths: list[str]
    other_files: int


def find_images(images: list[str]) -> ImageFiles:
    """Find the image files in folders and their subfolders, without hidden ones.

    Args:
        images: Folders, and files, which are taken whatever their extension.

    Raises:
        FileNotFoundError: A folder or file does not exist; the message suggests a similar name.
        UserError: There is no image.
    """
    paths: list[str] = []
    other_files = 0
    for image in images:
        if not os.path.isdir(image):  # noqa: PTH112 - a Path for each of thousands of files is slow
            paths.append(_existing(image))
            continue
        for path in _files(image, set()):
            if is_image(path):
                paths.append(path)
            else:
                other_files += 1
    if not paths:
        raise UserError(
            f"no images in {', '.join(images)}, {other_files} other files; "
            f"file extensions of images: {' '.join(sorted(ENDINGS))}."
        )
    return ImageFiles(list(dict.fromkeys(paths)), other_files)


def say_left_out(other_files: int, failures: dict[str, str], listed: str = "") -> None:
    """Print how many files are no images, and how many could not be decoded.

    Args:
        other_files: See `ImageFiles`.
        failures: Why files could not be decoded, by path.
        listed: Where these are listed, in brackets after a space.
    """
    if other_files:
        say(f"skipped files without an image's file extension: {other_files:,}")
    if failures:
        path, reason = next(iter(failures.items()))
        say(f"files that could not be decoded{listed}: {len(failures):,}, e.g. {path}: {reason}")


def _files(folder: str, seen: set[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in seen:  # a symbolic link to a folder that was already visited
        return
    seen.add(real)
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if is_junk(entry.name):
            continue
        if is_folder(entry):
            yield from _files(entry.path, seen)
        elif not is_special(entry):
            yield entry.path


def _existing(image: str) -> str:
    path = Path(image)
    if not path.is_file():
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        similar = get_close_matches(path.name, siblings, n=1)
        hint = f"did you mean {path.parent / similar[0]}?" if similar else "give a folder or image files."
        raise FileNotFoundError(f"--images {image} does not exist; {hint}")
    return image
