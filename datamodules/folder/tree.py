"""What lies in ``<root>/<split>/<class>/``: classes, images, and a digest that changes with them."""

import hashlib
import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from torch import Tensor

from datamodules.folder.decoding import ENDINGS
from datamodules.memory.images import Images
from datamodules.memory.normalisation import Statistics, pixel_statistics
from datamodules.memory.split import stratified_split
from foundation.errors import UserError

_SHOWN = 5


@dataclass
class Tree:
    """The images of a split.

    Args:
        names: Paths below the split's folder, class by class, sorted.
        counts: How many each class has, by class name.
        digest: Of all names, sizes and times of change. Not of the bytes: to read 60,000 small images takes seconds.
        folders: Time of change of each folder; when none differs, nothing was added, removed, renamed or replaced.
        strangers: Files that are no images by their ending, left out.
    """

    names: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    folders: dict[str, int] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)


def class_folders(root: Path, split: str) -> list[str]:
    """Names of the class folders of a split, sorted; hidden ones are none.

    Raises:
        FileNotFoundError: If there is no such folder; the message says what is there instead.
        NotADirectoryError: If ``root`` is a file.
        UserError: If it holds no folders.
    """
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(
            f"{root} is a file; data.root must be a folder with train/<class>/ and test/<class>/ in it."
        )
    folder = root / split
    if not folder.is_dir():
        raise FileNotFoundError(_missing(root, split))
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise UserError(f"{folder} has no class folders, found {_listing(folder)}: images go into {folder}/<class>/.")
    return names


def scan(folder: Path, classes: list[str]) -> Tree:
    """List the images of a split; every folder below a class belongs to the class.

    Args:
        folder: Of the split.
        classes: Names of its class folders.

    Raises:
        UserError: If a class has no image.
    """
    tree = Tree(folders={".": folder.stat().st_mtime_ns})
    whole = hashlib.blake2b(digest_size=16)
    for name in classes:
        found = sorted(_images(folder, name, tree))
        if not found:
            raise UserError(
                f"{folder / name} has no images, found {_listing(folder / name)}: add some or remove the folder. "
                f"Endings that count: {' '.join(sorted(ENDINGS))}."
            )
        tree.counts[name] = len(found)
        tree.names += [path for path, _, _ in found]
        whole.update("\0".join(path for path, _, _ in found).encode("utf-8", "surrogateescape"))
        whole.update(np.array([(size, time) for _, size, time in found], dtype=np.int64).tobytes())
    tree.digest = whole.hexdigest()
    return tree


def is_image(name: str) -> bool:
    """By its ending."""
    return os.path.splitext(name)[1].lower() in ENDINGS  # noqa: PTH122 - a Path for each of 60,000 files is slow


def _images(top: Path, below: str, tree: Tree) -> list[tuple[str, int, int]]:
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
            tree.strangers.append(path)
    return found


def _missing(root: Path, split: str) -> str:
    text = f"{root / split} does not exist: data.root must hold {split}/<class>/ with images; "
    if not root.exists():
        near = next(parent for parent in root.absolute().parents if parent.exists())
        missing = root.absolute().relative_to(near).parts[0]
        alike = get_close_matches(missing, [entry.name for entry in os.scandir(near) if entry.is_dir()], n=1)
        if alike:
            return f"{text}there is no {root}; did you mean {near / alike[0]}?"
        return f"{text}there is no {root}, and {near} holds {_listing(near)}."
    nested = sorted(path.parent for path in root.glob(f"*/{split}") if path.is_dir())
    if nested:
        return f"{text}did you mean data.root={nested[0]}?"
    return f"{text}{root} holds {_listing(root)}."


def _listing(folder: Path) -> str:
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in os.scandir(folder))
    shown = ", ".join(names[:_SHOWN]) or "nothing"
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


ALL = "."
PARTS = ("train", "val", "test")
_TEST_SEED = 0  # the same test images for everyone, whatever the run's seeds: nothing may be tuned on them
_ENOUGH = 10_000


def is_plain(root: Path) -> bool:
    """Whether ``root/<class>/…`` holds images, and ``root`` is neither parted nor a part nor the folder above."""
    if not root.is_dir() or root.resolve().name in PARTS:
        return False
    folders = [entry for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")]
    inside = [list(os.scandir(folder.path)) for folder in folders]
    parted = [entry.name in PARTS for entries in (folders, *inside) for entry in entries if entry.is_dir()]
    return not any(parted) and any(is_image(entry.name) for entries in inside for entry in entries)


def kept_for_test(images: Images, share: float, class_names: list[str]) -> tuple[Tensor, Tensor]:
    """Rows to train and validate on, and a fixed share of every class to test on."""
    return stratified_split(images.targets, share, _TEST_SEED, class_names)


def statistics_of(images: Images, rows: Tensor) -> Statistics:
    """Of some 10,000 of the rows, evenly; the rest would not change the third digit."""
    return pixel_statistics(images.pixels[rows[:: -(-len(rows) // _ENOUGH)]])
