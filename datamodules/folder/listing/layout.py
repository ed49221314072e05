"""Where the images of a folder lie: its folders for training, validation and test, and the folders of its classes."""

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from datamodules.folder.listing.junk import is_folder, is_image, is_junk
from foundation.errors import UserError

ALL = "."
"""Name of the only split of an unsplit folder ``<root>/<class>/``."""

SPLITS = ("train", "val", "test")
NAMES = {
    "train": ("train", "training", "train_set", "training_set"),
    "val": ("val", "valid", "validation", "dev", "val_set", "validation_set"),
    "test": ("test", "testing", "test_set"),
}
"""Names of the folders of a split, in any case; the first one is the usual one."""
_SHOWN = 5


@dataclass(frozen=True)
class Layout:
    """The folders of a root.

    Args:
        root: The root.
        splits: Folder of each split that exists; empty if the class folders are in the root itself.
        others: Folders with images beside those of the splits, which are not used.
    """

    root: Path
    splits: dict[str, Path]
    others: tuple[str, ...] = ()

    @property
    def is_unsplit(self) -> bool:
        """Whether the class folders are in the root itself."""
        return not self.splits

    def of_earlier_version(self) -> "Layout":
        """Return what versions saw that knew no other name for the validation folder than ``val``."""
        known = {split: folder for split, folder in self.splits.items() if split != "val" or folder.name == "val"}
        return replace(self, splits=known)

    def folder(self, split: str) -> Path:
        """Return the folder of a split, which may not exist, or the root for ``ALL``."""
        return self.root if split == ALL else self.splits.get(split, self.root / split)


def find_layout(root: Path) -> Layout:
    """Find out how the images of a root are arranged.

    A folder with the name of a split is one if it holds folders; if it holds images, and there are other folders with
    images, it is a class of that name.

    Raises:
        UserError: If there are two folders of the same split.
    """
    if not root.is_dir():
        return Layout(root, {"train": root / "train"})
    folders = visible_folders(root)
    named = [(split_named(folder.name), folder) for folder in folders]
    if any(split and visible_folders(Path(folder.path)) for split, folder in named):
        return _split(root, [(split, folder) for split, folder in named if split], named)
    classes = [folder for folder in folders if has_images(Path(folder.path))]
    like_splits = {split_named(folder.name) for folder in classes} - {None}
    only_splits = all(split_named(folder.name) for folder in classes)
    if classes and not only_splits and len(like_splits) < 2 and not _belongs_to_a_split(root, classes):
        return Layout(root, {})
    return Layout(root, {split: Path(folder.path) for split, folder in named if split} or {"train": root / "train"})


def _split(
    root: Path, found: "list[tuple[str, os.DirEntry[str]]]", named: "list[tuple[str | None, os.DirEntry[str]]]"
) -> Layout:
    splits: dict[str, Path] = {}
    for split, folder in found:
        if split in splits:
            raise UserError(
                f"{root} has two folders for {split}: {splits[split].name}/ and {folder.name}/. Merge or rename one."
            )
        splits[split] = Path(folder.path)
    others = sorted(folder.name for split, folder in named if not split and has_images(Path(folder.path)))
    return Layout(root, splits, tuple(others))


def _belongs_to_a_split(root: Path, classes: "list[os.DirEntry[str]]") -> bool:
    """Return whether the root is a split itself, with another one beside it, or lies above a folder with splits."""
    beside = {split_named(folder.name) for folder in visible_folders(root.resolve().parent)}
    if split_named(root.resolve().name) and len(beside - {None}) > 1:
        return True
    return all(any(split_named(f.name) for f in visible_folders(Path(folder.path))) for folder in classes)


def split_named(name: str) -> str | None:
    """Return the split that a folder of this name holds, if any.

    Example:
        >>> split_named("Validation"), split_named("cats")
        ('val', None)
    """
    return next((split for split, names in NAMES.items() if name.lower() in names), None)


def class_folders(root: Path, split: str) -> list[str]:
    """Return the names of the classes of a split, in their order: numbers by their value, names by the alphabet.

    Raises:
        FileNotFoundError: If the split does not exist; the message says what exists instead.
        NotADirectoryError: If ``root`` is a file.
        UserError: If the split has no folders.
    """
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(
            f"{root} is a file; data.root must be a folder with train/<class>/ and test/<class>/ in it."
        )
    folder = find_layout(root).folder(split)
    if not folder.is_dir():
        raise FileNotFoundError(_missing(root, split))
    names = folders_by_class(folder)
    if not names:
        raise UserError(
            f"{folder} has no class folders, it has {listing(folder)}: put the images into {folder}/<class>/."
        )
    return in_order(names)


def folders_by_class(folder: Path) -> dict[str, list[str]]:
    """Return the folders of each class; names that differ only in how accents are encoded (NFC, NFD) are one class."""
    found: dict[str, list[str]] = {}
    for entry in visible_folders(folder):
        found.setdefault(unicodedata.normalize("NFC", entry.name), []).append(entry.name)
    return found


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names of classes: by number if all are numbers.

    Example:
        >>> in_order(["10", "9", "1"]), in_order(["b", "10", "9"])
        (['1', '9', '10'], ['10', '9', 'b'])
    """
    names = sorted(names)
    return sorted(names, key=int) if all(name.isascii() and name.isdigit() for name in names) else names


def differ_in_case(names: Iterable[str]) -> str | None:
    """Say which names differ only in upper and lower case, as folders that were merged from two systems do."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.casefold(), []).append(name)
    same = [" and ".join(group) for group in groups.values() if len(group) > 1]
    if not same:
        return None
    return f"{', '.join(same)} differ only in upper and lower case, and are two classes; merge the folders if not."


def visible_folders(folder: Path) -> "list[os.DirEntry[str]]":
    """Return the folders in a folder, without hidden ones and those that systems create."""
    found = [entry for entry in os.scandir(folder) if is_folder(entry) and not is_junk(entry.name)]
    return sorted(found, key=lambda entry: entry.name)


def has_images(folder: Path) -> bool:
    """Return whether there is an image in a folder or below it, or a link to a folder below it."""
    below = []
    try:
        entries = os.scandir(folder)
    except OSError:
        return False
    with entries:
        for entry in entries:
            if is_junk(entry.name):
                continue
            if is_folder(entry):
                if entry.is_symlink():
                    return True  # the listing of the class looks behind it
                below.append(entry.path)
            elif is_image(entry.name):
                return True
    return any(has_images(Path(path)) for path in below)


def _missing(root: Path, split: str) -> str:
    text = f"{root / split} does not exist: data.root must hold {split}/<class>/ with images; "
    if not root.exists():
        parent = next(parent for parent in root.absolute().parents if parent.exists())
        missing = root.absolute().relative_to(parent).parts[0]
        similar = get_close_matches(missing, [entry.name for entry in os.scandir(parent) if is_folder(entry)], n=1)
        if similar:
            return f"{text}there is no {root}; did you mean {parent / similar[0]}?"
        return f"{text}there is no {root}, and {parent} holds {listing(parent)}. If it has moved: --data.root FOLDER."
    nested = sorted(
        Path(folder.path)
        for folder in visible_folders(root)
        if any(split_named(inside.name) == split for inside in visible_folders(Path(folder.path)))
    )
    if nested:
        return f"{text}did you mean data.root={nested[0]}?"
    return f"{text}{root} holds {listing(root)}."


def listing(folder: Path) -> str:
    """Say what a folder holds."""
    names = sorted(f"{entry.name}/" if is_folder(entry) else entry.name for entry in os.scandir(folder))
    shown = ", ".join(names[:_SHOWN]) or "nothing"
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
