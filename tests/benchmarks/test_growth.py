"""The growth benchmark: its points, its slopes, its files."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.growth import __main__ as growth
from benchmarks.growth import point


def test_points_measure_time_and_memory() -> None:
    few, many = point.images(1000), point.images(2000)
    assert 0 < few["seconds"] < many["seconds"]
    batch = point.linear(8)
    assert batch["weights"] == 64 * 8 + 8 + 8 * 8 + 8 + 8 * 10 + 10
    # forward, gradients of the weights, and of the inputs of all layers but the first
    assert batch["flops"] == 2 * 16 * (2 * 64 * 8 + 3 * 8 * 8 + 3 * 8 * 10)


def test_it_writes_numbers_and_slopes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def process(*words: str) -> dict[str, float]:
        if words == ("peaks",):
            return {"matrix product": 2e9, "convolution": 1e9, "bandwidth": 1e9}
        size = math.prod(float(word) for word in words[1:])
        return {"seconds": size**2 / 1e3, "memory": 100 * size, "flops": int(size), "weights": size**2}

    monkeypatch.setattr(growth, "process", process)
    monkeypatch.setattr("sys.argv", ["growth", "--out", str(tmp_path)])
    growth.main()
    said = capsys.readouterr().out
    assert "batch: time ∝ size^2.00, memory ∝ size^1.00" in said
    assert "weights: time ∝ size^1.00, memory ∝ size^0.50" in said  # against weights, the square of the width
    with (tmp_path / "growth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(sizes) for _, _, sizes in growth.SWEEPS.values())
    assert (tmp_path / "growth.png").stat().st_size > 10_000
