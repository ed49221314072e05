"""The allocator's benchmark: one network, one batch size, two rounds."""

import csv
from pathlib import Path

import pytest

from benchmarks import allocator


def test_it_runs_and_keeps_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr(allocator, "BATCHES", {"ResNet8": ((4, 1),)})
    words = ["allocator", "--networks", "ResNet8", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*words, "--rounds", "2"])
    allocator.main()
    assert "ResNet8" in capsys.readouterr().out
    with (tmp_path / "allocator_ResNet8.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert 0 < float(row["low"]) <= float(row["ratio"]) <= float(row["high"])
    assert float(row["peak_mb_tuned"]) > 100
