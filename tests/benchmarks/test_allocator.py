"""The allocator's benchmark: the steps of a contestant, and the ratios of the contestants' results."""

import csv
from pathlib import Path
from typing import Any

import pytest

from benchmarks.allocator import __main__ as allocator
from benchmarks.allocator import contestant


def test_a_contestant_measures_its_steps() -> None:
    first, second = contestant.steps("ResNet8", batch=2, count=2, evaluation=2)
    assert first["faults"] > 0
    assert all(row["cpu"] > 0 and row["wall"] > 0 and row["resident"] > 50 for row in (first, second))


def test_it_writes_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def process(choice: str, network: str, batch: int, steps: int, evaluation: int = 0) -> dict[str, Any]:
        asked.append((choice, batch, steps))
        cpu = batch / 1000 * (1.5 if choice == "system" else 1.0)
        counted = {"cpu": cpu, "faults": 9 if choice == "system" else 1, "resident": 100}
        warming = {"cpu": 99.0, "faults": 99, "resident": 1}
        return {"steps": [*[warming] * 3, *[counted] * (steps - 3)], "peak": 7}

    monkeypatch.setattr(allocator, "process", process)
    monkeypatch.setattr("sys.argv", ["allocator", "--networks", "ResNet8", "--rounds", "2", "--out", str(tmp_path)])
    allocator.main()
    with (tmp_path / "allocator_ResNet8.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["ratio"]) for row in rows] == pytest.approx([1.5] * 3)
    assert [(float(row["faults_system"]), float(row["faults_tuned"])) for row in rows] == [(9, 1)] * 3
    assert [choice for choice, batch, _ in asked if batch == 500] == ["system", "tuned", "tuned", "system"]
    monkeypatch.setattr("sys.argv", ["allocator", "--memory", "--steps", "3", "--out", str(tmp_path)])
    allocator.main()
    assert (tmp_path / "allocator_memory.png").stat().st_size > 1000
