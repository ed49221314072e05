"""Folders as people have them: what each is read as. The table in docs/your_own_images.md has the same rows."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.datamodules.folder.folder_case import found, put, total

SPLITS = [
    ("train", "valid", "test"),
    ("train", "validation", "test"),
    ("train", "val", "test"),
    ("train", "dev", "test"),
    ("Train", "Val", "Test"),
    ("TRAIN", "VALID", "TEST"),
    ("training", "validation", "testing"),
    ("training_set", "validation_set", "test_set"),
]


@pytest.mark.parametrize("names", SPLITS, ids="-".join)
def test_names_of_splits(names: tuple[str, str, str], tmp_path: Path) -> None:
    for count, name in zip((4, 2, 3), names, strict=True):
        put(tmp_path / name, "cat", "dog", count=count)
    each = {"train": 4, "val": 2, "test": 3}
    assert found(tmp_path) == {part: {"cat": count, "dog": count} for part, count in each.items()}


def nested(root: Path) -> None:
    put(root / "cat", "black", "white")
    put(root / "dog", "small/brown", "large")


def class_named_train(root: Path) -> None:
    put(root, "bus", "plane", "train")


def class_named_train_within_splits(root: Path) -> None:
    for split in ("train", "test"):
        put(root / split, "bus", "train", count=2)


def splits_of_nested_folders(root: Path) -> None:
    put(root / "train" / "cat", "black")
    put(root / "train", "dog")


def folder_named_train_that_is_no_split(root: Path) -> None:
    put(root / "train", "cat", "dog")


def numbers(root: Path) -> None:
    put(root, "0", "1", "2", "10")


def junk(root: Path) -> None:
    put(root, "cat", "dog", ".hidden", "__MACOSX", "@eaDir")
    put(root / "cat", "@eaDir", "__MACOSX", ".ipynb_checkpoints", "#recycle", "$RECYCLE.BIN")
    for name in (".DS_Store", "._0.png", "Thumbs.db", "desktop.ini"):
        (root / "cat" / name).write_bytes(b"x")


def other_files(root: Path) -> None:
    put(root, "cat", "dog")
    (root / "labels.csv").write_text("x")
    (root / "cat" / "notes.txt").write_text("x")


def broken_link(root: Path) -> None:
    put(root, "cat", "dog")
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")


def link_to_itself(root: Path) -> None:
    put(root, "cat", "dog")
    (root / "cat" / "self.png").symlink_to(root / "cat" / "self.png")


def loop(root: Path) -> None:
    put(root, "cat", "dog")
    (root / "cat" / "again").symlink_to(root / "cat", target_is_directory=True)
    (root / "dog" / "all").symlink_to(root, target_is_directory=True)


def links_to_images(root: Path) -> None:
    put(root.parent / "elsewhere", "cat", "dog")
    root.mkdir()
    for name in ("cat", "dog"):
        (root / name).symlink_to(root.parent / "elsewhere" / name, target_is_directory=True)


def pipe(root: Path) -> None:
    put(root, "cat", "dog")
    os.mkfifo(root / "cat" / "pipe.png")


def folder_named_as_an_image(root: Path) -> None:
    put(root, "cat", "dog/more.png")


def accents(root: Path) -> None:
    put(root, unicodedata.normalize("NFC", "café"), "dog", count=2)
    put(root, unicodedata.normalize("NFD", "café"), first=2, count=1)


def accents_in_splits(root: Path) -> None:
    put(root / "train", unicodedata.normalize("NFC", "café"), "dog", count=2)
    put(root / "test", unicodedata.normalize("NFD", "café"), "dog", count=1)


def upper_case_endings(root: Path) -> None:
    put(root, "cat", "dog")
    for file in (root / "cat").iterdir():
        file.rename(file.with_suffix(".PNG"))


def strange_names(root: Path) -> None:
    put(root, 'a b, "c" #1', "日本", "dog%20")


def empty_class_in_test(root: Path) -> None:
    put(root / "train", "cat", "dog")
    put(root / "test", "dog")
    (root / "test" / "cat").mkdir()


def one_image(root: Path) -> None:
    put(root, "dog", "cat")
    put(root, "eel", count=1)


class Case(NamedTuple):
    """A folder, its row in the documentation, the images of each class in all its parts, a part of what is printed."""

    make: Callable[[Path], None]
    what: str
    then: str
    images: dict[str, int]
    said: str = ""


THREE = {"cat": 3, "dog": 3}
CASES = [
    Case(
        nested,
        "`cat/black/1.jpg`: folders below a class",
        "they belong to the class: the first level counts",
        {"cat": 6, "dog": 6},
    ),
    Case(
        class_named_train,
        "a class named `train` beside other classes",
        "a class: only a `train` that holds folders is a split",
        {"bus": 3, "plane": 3, "train": 3},
    ),
    Case(class_named_train_within_splits, "`train/train/1.jpg`, `test/train/1.jpg`", "a class", {"bus": 4, "train": 4}),
    Case(splits_of_nested_folders, "`train/cat/black/1.jpg`", "it belongs to `cat`", THREE),
    Case(
        folder_named_train_that_is_no_split,
        "`train/<class>` alone",
        "the training set; `test` asks for a test folder",
        THREE,
    ),
    Case(
        numbers,
        "classes `0`, `1`, `2`, `10`",
        "in the order of their values, if all names are numbers",
        {"0": 3, "1": 3, "2": 3, "10": 3},
    ),
    Case(junk, "`.DS_Store`, `Thumbs.db`, `__MACOSX`, `.ipynb_checkpoints`, `@eaDir`, …", "passed over", THREE),
    Case(
        other_files,
        "`notes.txt` in a class folder",
        "skipped and listed",
        THREE,
        "no file extension of an image (1). Listed in",
    ),
    Case(broken_link, "a broken link", "skipped and listed", THREE, "broken link (1)"),
    Case(link_to_itself, "a link to itself", "skipped and listed", THREE, "broken link (1)"),
    Case(loop, "a link to a folder above it", "skipped and listed", THREE, "link to a folder above it (2)"),
    Case(links_to_images, "links to folders elsewhere", "followed", THREE),
    Case(pipe, "a pipe or a device named `a.png`", "skipped and listed", THREE, "not an ordinary file (1)"),
    Case(folder_named_as_an_image, "a folder named `more.png`", "a folder", THREE),
    Case(accents, "`café` twice, with the accent encoded in two ways (NFC, NFD)", "one class", {"café": 3, "dog": 2}),
    Case(accents_in_splits, "`train/café` in NFC, `test/café` in NFD", "one class", {"café": 3, "dog": 3}),
    Case(upper_case_endings, "`1.PNG`, `2.JPG`", "images", THREE),
    Case(
        strange_names,
        "spaces, commas, quotes, `日本` in names",
        "as they are",
        {'a b, "c" #1': 3, "dog%20": 3, "日本": 3},
    ),
    Case(
        empty_class_in_test,
        "a class without images in `test` or `val`",
        "used in training; a line names it",
        {"cat": 3, "dog": 6},
        "No image for the test set of cat.",
    ),
    Case(
        one_image,
        "a class of one image",
        "used in training only; a line names it",
        THREE | {"eel": 1},
        "No image for the test set of eel.",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.make.__name__)
def test_folder(case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "images"
    case.make(root)
    with caplog.at_level("INFO"):
        counts = found(root)
    assert list(total(counts).items()) == list(case.images.items()), "classes in their order, with their images"
    assert case.said in caplog.text
    assert case.said or "Skipped" not in caplog.text


def test_the_documentation_has_the_rows() -> None:
    page = (Path(__file__).parents[3] / "docs" / "your_own_images.md").read_text(encoding="utf-8")
    for case in CASES:
        assert f"| {case.what} | {case.then} |" in page


def test_names_that_differ_in_case_are_two_classes_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "Cat", "cat", "dog")
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this filesystem has one folder for both names")
    with caplog.at_level("INFO"):
        assert total(found(tmp_path)) == {"Cat": 3, "cat": 3, "dog": 3}
    assert "Cat and cat differ only in upper and lower case, and are two classes" in caplog.text


def test_other_folders_beside_the_splits_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("train", "test", "unlabelled"):
        put(tmp_path / name, "cat", "dog")
    with caplog.at_level("INFO"):
        assert total(found(tmp_path)) == {"cat": 6, "dog": 6}
    assert f"Not used, beside the folders of {tmp_path}: unlabelled." in caplog.text
