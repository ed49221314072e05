"""Copies of an image in training and test are found by content, reported, listed and, if asked, left out of training."""

import csv
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import ImageFolderDataModule
from foundation.errors import UserError
from tests.datamodules.support import save_image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for place, split in enumerate(("train", "val", "test")):
        for number, name in enumerate(("cat", "dog")):
            for i in range(6):
                save_image(tmp_path / split / name / f"{i}.png", seed=100 * place + 10 * number + i)
    return tmp_path


def copy(root: Path, source: str, target: str) -> None:
    shutil.copy(root / source, root / target)


def opened(root: Path, **options: Any) -> tuple[ImageFolderDataModule, list[str]]:
    data = ImageFolderDataModule(str(root), image_size=8, batch_size=2, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.setup("fit")
    return data, [str(warning.message) for warning in caught]


def test_none(root: Path) -> None:
    data, said = opened(root)
    assert said == []
    assert not list(root.glob(".descent_cache/test-8*")), "the test images were not decoded"
    assert {part: len(images) for part, images in data.images_in_use().items()} == {"train": 12, "val": 12, "test": 12}


def test_they_are_reported_and_listed(root: Path) -> None:
    copy(root, "train/cat/0.png", "test/cat/copy.png")
    copy(root, "train/cat/1.png", "test/dog/under another name.png")
    copy(root, "train/dog/2.png", "val/dog/copy.png")
    data, said = opened(root)
    assert data.train_set is not None
    assert len(data.train_set) == 12
    listed = root / ".descent_cache" / "duplicates.csv"
    assert said == [
        f"2 of 14 test images are also among the training images, e.g. {root}/test/cat/copy.png and "
        f"{root}/train/cat/0.png; 1 of 13 validation images are also among the training images, e.g. "
        f"{root}/val/dog/copy.png and {root}/train/dog/2.png: results on them are too high. Listed in {listed}. "
        "data.on_duplicate=remove leaves such images out of training."
    ]
    with listed.open() as file:
        rows = list(csv.reader(file))
    assert len(rows) == 4
    assert rows[2] == ["test", f"{root}/test/dog/under another name.png", "train", f"{root}/train/cat/1.png"]
    assert opened(root)[1] == said, "also from the cache"


def test_they_are_left_out_of_training(root: Path) -> None:
    copy(root, "train/cat/0.png", "test/cat/copy.png")
    copy(root, "train/dog/2.png", "val/dog/copy.png")
    data, said = opened(root, on_duplicate="remove")
    assert said == []
    assert data.train_set is not None
    assert data.val_set is not None
    left = {data.path_of("train", row).relative_to(root).as_posix() for row in data.train_set.rows.tolist()}
    assert len(left) == 10
    assert not left & {"train/cat/0.png", "train/dog/2.png"}
    assert len(data.val_set) == 13


def test_validation_from_the_training_folder_loses_them_too(root: Path) -> None:
    shutil.rmtree(root / "val")
    for i in range(5):
        copy(root, f"train/cat/{i}.png", f"test/cat/copy {i}.png")
    data, said = opened(root, on_duplicate="remove", val_share=0.4)
    assert said == []
    assert data.train_set is not None
    assert data.val_set is not None
    assert len(data.train_set) + len(data.val_set) == 7


def test_only_copies_in_training(root: Path) -> None:
    shutil.rmtree(root / "test")
    shutil.copytree(root / "train", root / "test")
    with pytest.raises(
        UserError, match=r"on_duplicate=remove leaves no training image of .*: each is a validation or te"
    ):
        opened(root, on_duplicate="remove")


@pytest.mark.parametrize("size", [0, 10, 400, None])
def test_a_damaged_list_of_the_test_images_is_made_again(size: int | None, root: Path) -> None:
    data, _ = opened(root)
    file = root / ".descent_cache" / "test-keys.npz"
    content = file.read_bytes()
    file.write_bytes(content[:size] if size is not None else content[:300] + b"xxxx" + content[304:])
    again, _ = opened(root)
    assert torch.equal(again.images_in_use()["test"], data.images_in_use()["test"])
    assert file.read_bytes() == content


def test_an_unsplit_folder_needs_no_removal(tmp_path: Path) -> None:
    for i in range(30):
        save_image(tmp_path / "cat" / f"{i}.png", seed=i)
        save_image(tmp_path / "dog" / f"{i}.png", seed=100 + i)
        shutil.copy(tmp_path / "cat" / f"{i}.png", tmp_path / "cat" / f"copy of {i}.png")
    data, said = opened(tmp_path)
    assert said == []
    sizes = [len(images) for images in data.images_in_use().values()]
    assert sum(sizes) == 90


def test_a_test_folder_that_cannot_be_read_stops_no_training(root: Path) -> None:
    shutil.rmtree(root / "test")
    save_image(root / "test" / "0.png")
    data, said = opened(root)
    assert said == []
    assert set(data.images_in_use()) == {"train", "val"}


def test_splits_of_a_table(root: Path) -> None:
    copy(root, "train/cat/0.png", "test/cat/copy.png")
    file = root / "labels.csv"
    names = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*/*.png"))
    lines = ["path,label,split", *(f"{name},{name.split('/')[1]},{name.split('/')[0]}" for name in names)]
    file.write_text("\n".join(lines))
    data, said = opened(root, labels=str(file))
    assert len(said) == 1
    assert "1 of 13 test images are also among the training images" in said[0]
    data, said = opened(root, labels=str(file), on_duplicate="remove")
    assert said == []
    assert {part: len(images) for part, images in data.images_in_use().items()} == {"train": 11, "val": 12, "test": 13}
