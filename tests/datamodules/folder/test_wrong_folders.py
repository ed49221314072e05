"""Folders that cannot be used, and which line says so."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from foundation.errors import UserError
from tests.datamodules.folder.folder_case import found, module, put
from tests.datamodules.support import image_folder, save_image


def test_no_such_folder(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    with pytest.raises(FileNotFoundError, match=r"images/train does not exist: .* there is no .*images, .* cats/"):
        _ = module(tmp_path / "images").class_names


def test_folder_with_a_typing_error(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no .*imges; did you mean .*/images\?"):
        _ = module(root.parent / "imges").class_names


def test_folder_without_train(root: Path) -> None:
    (root / "train").rename(root / "learn")
    with pytest.raises(FileNotFoundError, match=r"must hold train/<class>/ with images; .* holds learn/, test/"):
        _ = module(root).class_names


def test_folder_above_the_right_one(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"did you mean data.root=.*images\?"):
        _ = module(root.parent).class_names


def test_folder_of_classes(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train/train does not exist.* holds cat/, dog/"):
        _ = module(root / "train").class_names


def test_root_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.zip").touch()
    with pytest.raises(NotADirectoryError, match=r"a\.zip is a file; data.root must be a folder"):
        _ = module(tmp_path / "a.zip").class_names


def test_no_class_folders(tmp_path: Path) -> None:
    save_image(tmp_path / "train" / "0.png")
    with pytest.raises(UserError, match=r"train has no class folders, it has 0\.png"):
        _ = module(tmp_path).class_names


def test_one_class_only(root: Path) -> None:
    for file in (root / "train" / "dog").iterdir():
        file.unlink()
    (root / "train" / "dog").rmdir()
    with pytest.raises(UserError, match="has one class only, cat"):
        _ = module(root).class_names


def test_empty_class_folder(root: Path) -> None:
    (root / "train" / "eel").mkdir()
    (root / "train" / "eel" / "list.csv").touch()
    with pytest.raises(UserError, match=r"train/eel has no images, it has list\.csv: add some"):
        module(root).setup("fit")


def test_class_of_test_that_was_not_trained(root: Path) -> None:
    save_image(root / "test" / "eel" / "0.png")
    with pytest.raises(UserError, match=r"test has classes that are not in .*train: eel"):
        module(root).setup("test")


def test_class_without_test_images_keeps_its_number(root: Path) -> None:
    for file in (root / "test" / "cat").iterdir():
        file.unlink()
    (root / "test" / "cat").rmdir()
    data = module(root)
    data.setup("test")
    assert data.test_set is not None
    assert data.test_set.images.targets.tolist() == [1, 1, 1]


def test_a_missing_test_folder_stops_only_test(tmp_path: Path) -> None:
    root = image_folder(tmp_path, test=0)
    module(root).setup("fit")
    with pytest.raises(FileNotFoundError, match="test does not exist"):
        module(root).setup("test")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "image_size must be ≥ 1, got 0 × 0"),
        ({"on_corrupt": "ignore"}, "on_corrupt must be one of stop, skip; got 'ignore'"),
        ({"on_duplicate": "drop"}, "on_duplicate must be one of report, remove; got 'drop'"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        module(tmp_path, **arguments)


def test_two_folders_of_the_same_split(tmp_path: Path) -> None:
    for split in ("train", "val", "valid"):
        put(tmp_path / split, "cat", "dog", count=1)
    with pytest.raises(UserError, match=r"has two folders for val: val/ and valid/\. Merge or rename one"):
        found(tmp_path)


def test_class_in_another_case_than_in_train(tmp_path: Path) -> None:
    put(tmp_path / "train", "Cat", "dog")
    put(tmp_path / "test", "cat", "dog")
    with pytest.raises(UserError, match=r"classes that are not in .*train: cat \(in train it is Cat\)"):
        found(tmp_path)


def test_validation_folder_without_images(root: Path) -> None:
    (root / "val" / "cat").mkdir(parents=True)
    with pytest.raises(UserError, match=r"no class folder of .*val has an image"):
        module(root).setup("fit")


def test_folder_below_a_class_that_cannot_be_read(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(root / "train" / "cat", "secret")

    def scandir(path: Path) -> Any:  # the superuser may read every folder
        if Path(path).name == "secret":
            raise PermissionError
        return os.scandir(path)

    monkeypatch.setattr("datamodules.folder.listing.tree.os", SimpleNamespace(scandir=scandir))
    with caplog.at_level("INFO"):
        module(root).prepare_data()
    assert "no permission to read the folder (1)" in caplog.text


@pytest.mark.parametrize(("images", "part"), [(1, "image of each class: none is left for the test"),
                                              (2, "training image of each class: none is left for the validation")])  # fmt: skip
def test_too_few_images_to_divide(images: int, part: str, tmp_path: Path) -> None:
    put(tmp_path, "cat", "dog", count=images)
    with pytest.raises(UserError, match=f"has one {part} set"):
        found(tmp_path)
