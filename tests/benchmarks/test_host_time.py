"""The benchmark of the host's time runs on the phantom GPU, and writes a row for each contestant."""

import csv
from pathlib import Path

import pytest

from benchmarks.host_time import __main__ as host_time
from benchmarks.host_time import contestants


@pytest.mark.phantom_gpu
def test_it_runs_and_writes_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as Lightning sets it
    monkeypatch.setattr(contestants, "STEPS", 4)
    words = ["host_time", "--rounds", "2", "--batch", "8", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    host_time.main()
    assert "Phantom" in capsys.readouterr().out
    with (tmp_path / "host_time.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["who"] for row in rows] == list(host_time.CONTESTANTS)
    assert all(float(row["milliseconds"]) > 0 for row in rows)
