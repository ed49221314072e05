"""The benchmark of a step's overhead runs, every contestant does the same arithmetic, and its ratios are right."""

import csv
import math
from pathlib import Path

import pytest
from scipy import stats

from benchmarks import overhead
from benchmarks.paired import paired_ratio


def test_it_runs_and_keeps_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["overhead", "--rounds", "2", "--samples", "1280", "--out", str(tmp_path)])
    overhead.main()  # our contestant refuses to end without every key in trainer.callback_metrics
    assert "ours, everything on" in capsys.readouterr().out
    with (tmp_path / "overhead_mlp.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["who"] for row in rows] == list(overhead.CONTESTANTS)
    assert all(float(row["low"]) <= float(row["ratio"]) <= float(row["high"]) for row in rows)
    assert (tmp_path / "overhead_mlp.png").stat().st_size > 1000


def test_a_ratio_is_that_of_the_logarithms() -> None:
    times, reference = [1.2, 1.5, 0.9, 2.0], [1.0, 1.1, 0.8, 1.6]
    logs = [math.log(a / b) for a, b in zip(times, reference, strict=True)]
    test = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    found = paired_ratio(times, reference)
    assert found.low == pytest.approx(math.exp(test.low))
    assert found.high == pytest.approx(math.exp(test.high))
    assert found.middle == pytest.approx(math.prod(a / b for a, b in zip(times, reference, strict=True)) ** 0.25)
