"""The benchmark of the data runs, and its contestants do the same work."""

import csv
from pathlib import Path

import pytest

from benchmarks import data


def test_it_runs_and_keeps_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = data.made_up
    monkeypatch.setattr(data, "made_up", lambda count: images(count // 10))
    monkeypatch.setattr("sys.argv", ["data", "--rounds", "2", "--images", "40", "--out", str(tmp_path)])
    data.main()
    assert "torchvision, Pillow" in capsys.readouterr().out
    with (tmp_path / "data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["question"] for row in rows} == {"augment, one thread", "decode 40 files", "open 40 files"}
    assert all(float(row["ratio"]) > 0 for row in rows)
    assert (tmp_path / "data.png").stat().st_size > 1000


@pytest.mark.parametrize("contestant", [data.ours, data.pillow, data.gather, data.shift_by_shift])
def test_an_epoch_is_all_images(contestant: object) -> None:
    assert callable(contestant)
    assert contestant(data.made_up(1000))(1) == 1000
