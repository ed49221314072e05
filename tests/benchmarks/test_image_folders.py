"""Benchmarks on folders of images run, with tiny networks and images."""

from pathlib import Path

import pytest
import timm
import torch

from benchmarks import fine_tuning, small_folders
from benchmarks.common.command_line import read_csv
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


def test_small_folders(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_folders, "WIDTHS", [2, 4, 8])
    monkeypatch.setattr(small_folders, "TESTED", 4)
    short = ["--trainer.max_epochs=1"]  # the config plans 300 steps
    monkeypatch.setattr(small_folders, "main", lambda words: main([*words, *(short if words[0] == "fit" else [])]))
    row = small_folders.measured(images, 2, 10, 0)
    assert row[:4] == (2, 10, 0, 0.5)
    assert {row.ours, row.plain} <= {number / 8 for number in range(9)}
