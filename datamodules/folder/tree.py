"""Listing of an image folder ``<root>/<split>/<class>/``: classes, images, and a hash that changes with them."""

import hashlib
import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from datamodules.folder.decoding import ENDINGS
from foundation.errors import UserError

ALL = "."
"""Name of the only split of an unsplit folder ``<root>/<class>/``."""
SPLITS = ("train", "val", "test")
_SHOWN = 5


@dataclass
class Tree:
    """The images of a split.

    Args:
        names: Paths relative to the split's folder, class by class, sorted.
        counts: Number of images of each class.
        digest: Hash of all names, sizes and modification times; not of the contents, because reading 60,000 small
            images takes seconds.
        folders: Modification time of each folder; if none differs, nothing was added, removed, renamed or replaced.
        other_files: Files without an image extension, which are ignored.
    """

    names: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    folders: dict[str, int] = field(default_factory=dict)
    other_files: list[str] = field(default_factory=list)


def class_folders(root: Path, split: str) -> list[str]:
    """Return the names of the class folders of a split, sorted, without hidden ones.

    Raises:
        FileNotFoundError: If the split does not exist; the message says what exists instead.
        NotADirectoryError: If ``root`` is a file.
        UserError: If the split has no folders.
    """
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(
            f"{root} is a file; data.root must be a folder with train/<class>/ and test/<class>/ in it."
        )
    folder = root / split
    if not folder.is_dir():
        raise FileNotFoundError(_missing(root, split))
    names = sorted(entry.name for entry in _visible_folders(folder))
    if not names:
        raise UserError(
            f"{folder} has no class folders, it has {_listing(folder)}: put the images into {folder}/<class>/."
        )
    return names


def scan(folder: Path, classes: list[str]) -> Tree:
    """List the images of a split; the folders below a class belong to the class.

    Args:
        folder: Folder of the split.
        classes: Names of its class folders.

    Raises:
        UserError: If a class has no image.
    """
    tree = Tree(folders={".": folder.stat().st_mtime_ns})
    digest = hashlib.blake2b(digest_size=16)
    for name in classes:
        found = sorted(_images(folder, name, tree))
        if not found:
            raise UserError(
                f"{folder / name} has no images, it has {_listing(folder / name)}: add some or remove the folder. "
                f"Image extensions: {' '.join(sorted(ENDINGS))}."
            )
        tree.counts[name] = len(found)
        tree.names += [path for path, _, _ in found]
        digest.update("\0".join(path for path, _, _ in found).encode("utf-8", "surrogateescape"))
        digest.update(np.array([(size, time) for _, size, time in found], dtype=np.int64).tobytes())
    tree.digest = digest.hexdigest()
    return tree


def is_image(name: str) -> bool:
    """Return whether a file name has an image extension."""
    return os.path.splitext(name)[1].lower() in ENDINGS  # noqa: PTH122 - a Path for each of 60,000 files is slow


def is_unsplit(root: Path) -> bool:
    """Return whether ``root/<class>/…`` holds images, and neither ``root`` nor a folder in it is or has splits."""
    if not root.is_dir() or root.resolve().name in SPLITS:
        return False
    folders = _visible_folders(root)
    inside = [list(os.scandir(folder.path)) for folder in folders]
    splits = [entry.name in SPLITS for entries in (folders, *inside) for entry in entries if entry.is_dir()]
    return not any(splits) and any(is_image(entry.name) for entries in inside for entry in entries)


def _visible_folders(folder: Path) -> list["os.DirEntry[str]"]:
    return [entry for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]


def _images(top: Path, below: str, tree: Tree) -> list[tuple[str, int, int]]:
    """Return path, size and time of the images in a folder, and note folders and other files in the tree."""
    tree.folders[below] = (top / below).stat().st_mtime_ns
    found = []
    for entry in os.scandir(top / below):
        path = f"{below}/{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            found += _images(top, path, tree)
        elif is_image(entry.name):
            status = entry.stat()
            found.append((path, status.st_size, status.st_mtime_ns))
        else:
            tree.other_files.append(path)
    return found


def _missing(root: Path, split: str) -> str:
    text = f"{root / split} does not exist: data.root must hold {split}/<class>/ with images; "
    if not root.exists():
        parent = next(parent for parent in root.absolute().parents if parent.exists())
        missing = root.absolute().relative_to(parent).parts[0]
        similar = get_close_matches(missing, [entry.name for entry in os.scandir(parent) if entry.is_dir()], n=1)
        if similar:
            return f"{text}there is no {root}; did you mean {parent / similar[0]}?"
        return f"{text}there is no {root}, and {parent} holds {_listing(parent)}. If it has moved: --data.root FOLDER."
    nested = sorted(path.parent for path in root.glob(f"*/{split}") if path.is_dir())
    if nested:
        return f"{text}did you mean data.root={nested[0]}?"
    return f"{text}{root} holds {_listing(root)}."


def _listing(folder: Path) -> str:
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in os.scandir(folder))
    shown = ", ".join(names[:_SHOWN]) or "nothing"
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
