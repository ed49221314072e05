"""The benchmark of photo augmentations measures every augmentation against torchvision's."""

from pathlib import Path

import pytest

from benchmarks import photos
from benchmarks.common.command_line import read_csv


def test_it_writes_a_row_for_each_augmentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "of_kornia", list)  # which need not be installed
    photos.main(["--rounds=1", "--count=2", "--out", str(tmp_path)])
    rows = read_csv(photos.Row, tmp_path / "photos.csv")
    assert [row.augmentation for row in rows] == list(photos.ours())
    assert all(row.library == "torchvision" and row.low <= row.ratio <= row.high for row in rows)
