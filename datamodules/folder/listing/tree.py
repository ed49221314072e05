"""Listing of the images of a split ``<folder>/<class>/``, and a hash that changes with them."""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from datamodules.folder.listing.junk import ENDINGS, is_folder, is_image, is_junk
from datamodules.folder.listing.layout import listing
from foundation.errors import UserError

Found = tuple[str, int, int]
"""Path, size and modification time of an image."""


@dataclass
class Tree:
    """The images of a split.

    Args:
        names: Paths relative to the split's folder, class by class, sorted.
        counts: Number of images of each class.
        digest: Hash of all names, sizes and modification times; not of the contents, because reading 60,000 small
            images takes seconds.
        folders: Modification time of each folder; if none differs, nothing was added, removed, renamed or replaced.
        skipped: Path and reason of everything that is not used; hidden files and those of systems are not named.
    """

    names: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    folders: dict[str, int] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def scan(folder: Path, classes: Mapping[str, list[str]], needs_images: bool = True) -> Tree:
    """List the images of a split; the folders below a class belong to the class.

    Args:
        folder: Folder of the split.
        classes: The folders of each class.
        needs_images: Whether a class without an image is a mistake.

    Raises:
        UserError: If a class has no image, and needs one.
    """
    tree = Tree(folders={".": folder.stat().st_mtime_ns})
    digest = hashlib.blake2b(digest_size=16)
    above = tuple(_identity(path) for path in (folder.resolve(), *folder.resolve().parents))
    for name, folders in classes.items():
        found = sorted(image for below in folders for image in _images(folder, below, tree, above))
        if not found and needs_images:
            raise UserError(
                f"{folder / folders[0]} has no images, it has {listing(folder / folders[0])}: add some or remove the "
                f"folder. Image extensions: {' '.join(sorted(ENDINGS))}."
            )
        if found:
            tree.counts[name] = len(found)
        tree.names += [path for path, _, _ in found]
        digest.update("\0".join(path for path, _, _ in found).encode("utf-8", "surrogateescape"))
        digest.update(np.array([(size, time) for _, size, time in found], dtype=np.int64).tobytes())
    if not tree.names:
        raise UserError(f"no class folder of {folder} has an image.")
    tree.digest = digest.hexdigest()
    return tree


def _images(top: Path, below: str, tree: Tree, above: tuple[tuple[int, int], ...]) -> list[Found]:
    """Return the images in a folder, and note folders and what is skipped in the tree.

    Args:
        top: Folder of the split.
        below: The folder, relative to it.
        tree: Gets the notes.
        above: Device and inode of the folders above this one, to notice a link that leads back to one of them.
    """
    try:
        status = (top / below).stat()
        entries = list(os.scandir(top / below))
    except PermissionError:
        tree.skipped.append((below, "no permission to read the folder"))
        return []
    here = (status.st_dev, status.st_ino)
    if here in above:
        tree.skipped.append((below, "link to a folder above it"))
        return []
    tree.folders[below] = status.st_mtime_ns
    found = []
    for entry in entries:
        path = f"{below}/{entry.name}"
        if is_junk(entry.name):
            continue
        if is_folder(entry):
            found += _images(top, path, tree, (*above, here))
        elif not is_image(entry.name):
            tree.skipped.append((path, "no file extension of an image"))
        elif (image := _file(entry, path, tree)) is not None:
            found.append(image)
    return found


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _file(entry: "os.DirEntry[str]", path: str, tree: Tree) -> Found | None:
    try:
        status = entry.stat()
    except OSError as error:
        tree.skipped.append((path, "broken link" if entry.is_symlink() else str(error.strerror)))
        return None
    if not stat.S_ISREG(status.st_mode):  # reading from a pipe would wait for ever
        tree.skipped.append((path, "not an ordinary file"))
        return None
    return path, status.st_size, status.st_mtime_ns
