"""The benchmark of a step's overhead runs; turns and ratios, which all benchmarks share."""

import csv
import math
from pathlib import Path

import pytest
from scipy import stats

from benchmarks.common.paired import in_turns, median_ratio, paired_ratio
from benchmarks.overhead import __main__ as overhead


def test_it_runs_and_writes_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["overhead", "--rounds", "2", "--samples", "1280", "--out", str(tmp_path)])
    overhead.main()  # our contestant raises an error unless every key is in trainer.callback_metrics
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


def test_contestants_alternate_and_warm_up_rounds_are_dropped() -> None:
    ran: list[str] = []

    def contestant(name: str) -> float:
        ran.append(name)
        return float(len(ran))

    found = in_turns({"a": lambda: contestant("a"), "b": lambda: contestant("b")}, rounds=2, warm_up=1)
    assert ran == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_a_median_ratio_has_its_quartiles() -> None:
    assert median_ratio([2.0, 4.0, 9.0], [1.0, 1.0, 3.0]) == (3.0, 2.0, 4.0)
