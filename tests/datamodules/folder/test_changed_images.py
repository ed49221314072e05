"""A folder that changes between two uses of a checkpoint: nothing moves between the sets, and it says what changed."""

import copy
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import ImageFolderDataModule
from datamodules.memory.split import TEST_SEED, stratified_split
from foundation.errors import UserError
from tests.datamodules.support import image_folder, save_image

COUNT = 20
PARTS = ("train", "val", "test")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(("1", "2", "10")):
        for i in range(COUNT):
            save_image(tmp_path / "images" / name / f"{i:02}.png", seed=100 * number + i)
    return tmp_path / "images"


def opened(root: Path, state: dict[str, Any] | None = None, **options: Any) -> ImageFolderDataModule:
    data = ImageFolderDataModule(str(root), image_size=8, batch_size=4, **options)
    for stage in ("fit", "test"):
        data.setup(stage)
    if state is not None:
        data.load_state_dict(state)
    return data


def paths(data: ImageFolderDataModule, part: str) -> set[str]:
    dataset = getattr(data, f"{part}_set")
    return {str(data.path_of(part, row).relative_to(data.root)) for row in dataset.rows.tolist()}


def delete_of(part: str, count: int) -> Callable[[Path, ImageFolderDataModule], None]:
    def change(root: Path, before: ImageFolderDataModule) -> None:
        for name in sorted(paths(before, part))[:count]:
            (root / name).unlink()

    return change


def add(root: Path, before: ImageFolderDataModule) -> None:
    for i in range(10):
        save_image(root / "2" / f"0{i}_new.png", seed=900 + i)


def rename(root: Path, before: ImageFolderDataModule) -> None:
    for file in sorted((root / "1").iterdir()):
        file.rename(file.with_name(f"x{99 - int(file.stem)}.png"))


def correct_a_label(root: Path, before: ImageFolderDataModule) -> None:
    name = sorted(paths(before, "test"))[0]
    (root / name).rename(root / "2" / "moved.png")


CHANGES = [delete_of("train", 1), delete_of("train", 9), delete_of("val", 1), delete_of("test", 1), add, rename]


@pytest.mark.parametrize("change", [*CHANGES, correct_a_label])
def test_no_image_moves_to_another_set(change: Callable[[Path, ImageFolderDataModule], None], root: Path) -> None:
    before = opened(root)
    keys = {part: set(before.images_in_use()[part][:, 0].tolist()) for part in PARTS}
    change(root, before)
    now = opened(root)
    for part in PARTS:
        for other in PARTS:
            there = set(now.images_in_use()[part][:, 0].tolist())
            assert other == part or not there & keys[other]


def warned(root: Path, state: dict[str, Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened(root, state)
    return [str(warning.message) for warning in caught if "checkpoint" in str(warning.message)]


def test_what_changed_is_said(root: Path) -> None:
    before = opened(root)
    state = before.state_dict()
    assert warned(root, state) == []
    delete_of("test", 2)(root, before)
    delete_of("train", 1)(root, before)
    assert warned(root, state) == [
        "The training images are not those of the checkpoint's run: 0 added, 1 removed, 0 changed.",
        "The test images are not those of the checkpoint's run: 0 added, 2 removed, 0 changed.",
    ]


def test_a_test_image_that_was_trained_on_is_said(root: Path) -> None:
    before = opened(root)
    state = before.state_dict()
    train, val = sorted(paths(before, "train"))[:2], sorted(paths(before, "val"))[:1]
    whole = root.parent / "whole"
    for name in ("1", "2", "10"):
        shutil.copytree(root / name, whole / "train" / name)
        save_image(whole / "test" / name / "new.png", seed=int(name) + 5000)
    for name in (*train, *val):
        shutil.copy(root / name, whole / "test" / name)
    said = warned(whole, state)
    assert "The checkpoint's run trained on 2 and validated on 1 of today's 6 test images: results" in " ".join(said)


def test_the_same_name_in_train_and_test_is_another_image(root: Path) -> None:
    whole = root.parent / "whole"
    for name in ("1", "2", "10"):
        shutil.copytree(root / name, whole / "train" / name)
        for file in sorted((whole / "train" / name).iterdir())[:2]:
            save_image(whole / "test" / name / file.name, seed=int(name) + 5000 + len(file.name))
    assert warned(whole, opened(whole).state_dict()) == []


def test_changed_in_place(root: Path) -> None:
    before = opened(root)
    state = before.state_dict()
    for file in root.rglob("*.png"):
        save_image(file, seed=7000 + 100 * int(file.parent.name) + int(file.stem))
    assert any("today's" in text and "test images" in text for text in warned(root, state))


def test_a_run_of_an_earlier_version_keeps_split_and_classes(root: Path) -> None:
    """It split by place, and sorted the names of the classes as text."""
    state = {key: value for key, value in opened(root).state_dict().items() if key not in ("images", "class_names")}
    data = opened(root)
    assert data.class_names == ["1", "2", "10"]
    names = data.class_names
    data.load_state_dict(state)
    assert data.class_names == names == ["1", "10", "2"], "whoever holds the list sees the order of the checkpoint"
    targets = torch.arange(3 * COUNT) // COUNT
    rest, test = stratified_split(targets, 0.2, TEST_SEED, data.class_names)
    train, val = stratified_split(targets[rest], 0.1, 0, data.class_names)
    for part, rows in (("train", rest[train]), ("val", rest[val]), ("test", test)):
        dataset = getattr(data, f"{part}_set")
        assert torch.equal(dataset.rows, rows)
        assert torch.equal(dataset.images.targets, targets)
    again = data.state_dict()
    assert "images" not in again, "what it saves is resumed by place too"
    assert again["split"] == data.val_set.digest()  # type: ignore[union-attr]


def test_a_run_of_an_earlier_version_knows_no_other_name_for_val(tmp_path: Path) -> None:
    root = image_folder(tmp_path, val=4)
    (root / "val").rename(root / "valid")
    data = opened(root, val_share=0.4)
    assert data.val_set is not None
    assert len(data.val_set) == 8
    state = {key: value for key, value in data.state_dict().items() if key not in ("images", "class_names")}
    data.load_state_dict(state)
    assert len(data.val_set) == 4
    assert data.train_set is not None
    assert len(data.train_set) == 6


def test_an_earlier_run_whose_folder_changed_says_so(root: Path) -> None:
    data = opened(root)
    state = {key: value for key, value in data.state_dict().items() if key not in ("images", "class_names")}
    data.load_state_dict(state)
    state["split"] = data.state_dict()["split"]
    next(iter((root / "1").iterdir())).unlink()
    now = ImageFolderDataModule(str(root), image_size=8, batch_size=4)
    now.setup("test")
    with pytest.warns(UserWarning, match="folder has changed since this run, which chose its test images by place"):
        now.load_state_dict(state)


def test_other_classes_than_the_checkpoints(root: Path) -> None:
    state = opened(root).state_dict()
    (root / "2").rename(root / "3")
    with pytest.raises(UserError, match="classes are not those of the checkpoint's run: 1, 3, 10 instead of 1, 2, 10"):
        opened(root, state)


def test_a_trial_leaves_what_the_run_knows(tmp_path: Path) -> None:
    data = opened(image_folder(tmp_path))
    state = data.state_dict()
    copy.copy(data).setup("fit")
    assert data.state_dict()["images"].keys() == state["images"].keys() == {"train", "val", "test"}
