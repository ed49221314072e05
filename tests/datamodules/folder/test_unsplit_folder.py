"""Class folders without train and test: always split in the same way, with the test images held out."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from datamodules import ImageFolderDataModule
from datamodules.folder.listing.layout import find_layout
from datamodules.memory.normalisation import pixel_statistics
from tests.datamodules.support import image_folder, save_image


def unsplit_folder(root: Path, count: int = 10) -> Path:
    for number, name in enumerate(("cat", "dog")):
        for i in range(count):
            save_image(root / name / f"{i}.png", seed=100 * number + i)
    return root


def opened(root: Path, **options: object) -> ImageFolderDataModule:
    data = ImageFolderDataModule(str(root), image_size=8, batch_size=4, **options)  # type: ignore[arg-type]
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    return data


def test_three_sets_without_a_common_image(tmp_path: Path) -> None:
    data = opened(unsplit_folder(tmp_path), val_share=0.25)
    assert data.class_names == ["cat", "dog"]
    assert data.train_set is not None
    assert data.val_set is not None
    assert data.test_set is not None
    rows = torch.cat([part.rows for part in (data.train_set, data.val_set, data.test_set)])
    assert sorted(rows.tolist()) == list(range(20))
    for part in (data.train_set, data.val_set, data.test_set):
        targets = part.__getitems__(list(range(len(part))))[1]
        assert torch.bincount(targets, minlength=2).min() >= 1
    assert len(data.training_images().targets) == len(data.train_set) + len(data.val_set)
    assert torch.equal(data.test_images().pixels, data.test_set.images.pixels[data.test_set.rows])


def test_the_test_images_do_not_depend_on_seeds(tmp_path: Path) -> None:
    root = unsplit_folder(tmp_path)
    first, second = opened(root, val_share=0.25), opened(root, val_share=0.25, split_seed=7, seed=3)
    assert first.test_set is not None
    assert second.test_set is not None
    assert torch.equal(first.test_set.rows, second.test_set.rows)
    assert first.val_set is not None
    assert second.val_set is not None
    assert not torch.equal(first.val_set.rows, second.val_set.rows)


def test_statistics_are_of_the_training_images(tmp_path: Path) -> None:
    data = opened(unsplit_folder(tmp_path), val_share=0.25)
    expected = pixel_statistics(data.training_images().pixels)
    assert data.train_set is not None
    assert data.statistics == expected
    assert data.statistics != pixel_statistics(data.train_set.images.pixels)


@pytest.mark.parametrize("make", [unsplit_folder, partial(image_folder, train=10)], ids=["unsplit", "split"])
def test_opening_reads_no_pixels(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """An earlier version copied up to 10,000 images into memory at each start."""
    expected = opened(make(tmp_path)).statistics
    file = max(tmp_path.glob(".descent_cache/*.u8"), key=lambda file: file.stat().st_size)  # not that of the test
    with file.open("r+b") as pixels:
        pixels.write(bytes(20 * 8 * 8 * 3))
    data = ImageFolderDataModule(str(tmp_path), image_size=8, batch_size=4)
    data.setup("fit")
    assert data.train_set is not None
    assert not data.train_set.images.pixels.any()
    assert data.statistics == expected


def test_what_is_an_unsplit_folder(tmp_path: Path) -> None:
    def is_unsplit(root: Path) -> bool:
        return find_layout(root).is_unsplit

    assert is_unsplit(unsplit_folder(tmp_path / "unsplit"))
    assert not is_unsplit(image_folder(tmp_path / "above" / "split"))
    assert not is_unsplit(tmp_path / "above"), "the folder above a split one"
    assert not is_unsplit(tmp_path / "nowhere")
    assert not is_unsplit(tmp_path / "above" / "split" / "train")
    (tmp_path / "bare" / "cat").mkdir(parents=True)
    assert not is_unsplit(tmp_path / "bare")


def test_bad_share(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("test_share must be in (0, 1), got 1")):
        ImageFolderDataModule(str(tmp_path), test_share=1)
