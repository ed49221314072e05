"""Benchmarks on folders of images run, with tiny networks and images."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from benchmarks import fine_tuning, small_folders
from benchmarks.common import stamps
from benchmarks.common.command_line import read_csv
from benchmarks.common.image_subset import copy_subset
from cli import main
from tests.datamodules.support import save_image

NETWORK = "test_efficientnet.r160_in1k"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for split, first in (("train", 0), ("test", 100)):
        for kind in ("cat", "dog"):
            for number in range(24):
                save_image(tmp_path / "images" / split / kind / f"{number:02}.png", seed=first + number)
    return tmp_path / "images"


def test_fine_tuning(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(timm.create_model(NETWORK).state_dict(), tmp_path / "weights.pth")
    for name, value in {"NETWORK": NETWORK, "WEIGHTS": str(tmp_path / "weights.pth"), "RATES": (1e-3,)}.items():
        monkeypatch.setattr(fine_tuning, name, value)
    monkeypatch.setattr(fine_tuning, "EPOCHS", 2)
    monkeypatch.setattr(fine_tuning, "TESTED", 4)
    fine_tuning.main([str(images), "--rounds", "1", "--count", "20", "--size", "32", "--out", str(tmp_path)])
    (row,) = read_csv(fine_tuning.Row, tmp_path / "accuracy.csv")
    assert {row.ours, row.plain, row.scratch} <= {number / 8 for number in range(9)}, "of 8 test images"
    assert row.our_seconds > 0
    assert row.plain_rate == row.scratch_rate == 1e-3


def test_small_folders(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_folders, "WIDTHS", [2, 4, 8])
    monkeypatch.setattr(small_folders, "TESTED", 4)
    short = ["--trainer.max_epochs=1"]  # the config plans 300 steps
    monkeypatch.setattr(small_folders, "descent", lambda words: main([*words, *(short if words[0] == "fit" else [])]))
    words = [str(images), "--counts", "10", "--classes", "2", "--out", str(tmp_path)]
    small_folders.main(words)
    (row,) = read_csv(small_folders.Row, tmp_path / "accuracy.csv")
    assert row[:4] == (2, 10, 0, 0.5)
    assert {row.ours, row.plain} <= {number / 8 for number in range(9)}
    monkeypatch.setattr(small_folders, "measured", None)
    small_folders.main(words)  # measures nothing twice
    assert (tmp_path / "accuracy.png").exists()


def test_twice_as_many_classes_are_the_same_upside_down(images: Path, tmp_path: Path) -> None:
    copy_subset(images, tmp_path / "copy", {"train": 2, "test": 1}, 3, turned=True)
    assert sorted(file.name for file in (tmp_path / "copy" / "train").iterdir()) == ["cat", "dog", "upside_down_cat"]
    one, other = (
        np.asarray(Image.open(tmp_path / "copy" / "train" / kind / "00.png")) for kind in ("cat", "upside_down_cat")
    )
    assert np.array_equal(one[::-1, ::-1], other)


def test_stamps_become_white_where_they_are_transparent(tmp_path: Path) -> None:
    for kind in stamps.CLASSES:
        for number in range(3):
            file = tmp_path / "stamps" / kind / "more" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGBA", (320, 20), (0, 0, 0, 255 * (number % 2))).save(file)
    stamps.main([str(tmp_path / "stamps"), str(tmp_path / "images")])
    train, test = ([*sorted((tmp_path / "images" / part / "space").iterdir())] for part in ("train", "test"))
    assert [[file.name for file in part] for part in (train, test)] == [["more_0.png", "more_2.png"], ["more_1.png"]]
    assert Image.open(train[0]).size == (160, 10)
    assert (Image.open(train[0]).getpixel((5, 5)), Image.open(test[0]).getpixel((5, 5))) == ((255,) * 3, (0,) * 3)
