"""Folders that cannot be used, and which line says so."""

from pathlib import Path
from typing import Any

import pytest

from foundation.errors import UserError
from tests.datamodules.folder.folder_case import module
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
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        module(tmp_path, **arguments)
