"""The benchmark of the data runs, and its contestants do the same work."""

import csv
from pathlib import Path

import pytest

from benchmarks.data import __main__ as data
from benchmarks.data import loaders


def test_it_runs_and_writes_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = loaders.random_images
    monkeypatch.setattr(data, "random_images", lambda count: images(count // 10))
    monkeypatch.setattr("sys.argv", ["data", "--rounds", "2", "--images", "40", "--out", str(tmp_path)])
    data.main()
    assert "torchvision, Pillow" in capsys.readouterr().out
    with (tmp_path / "data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["question"] for row in rows} == {"augment, one thread", "decode 40 files", "open 40 files"}
    assert all(float(row["ratio"]) > 0 for row in rows)
    assert (tmp_path / "data.png").stat().st_size > 1000


@pytest.mark.parametrize("contestant", [loaders.ours, loaders.pillow, loaders.gather, loaders.shift_by_shift])
def test_an_epoch_has_all_images(contestant: object) -> None:
    assert callable(contestant)
    assert contestant(loaders.random_images(1000))(1) == 1000
