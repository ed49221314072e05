"""On a busy machine torch's threads sleep while they wait; a container's quota bounds their number."""

import os
import sys
from pathlib import Path

import pytest
import torch

from descent import threads
from descent.threads import VARIABLE, wait_politely
from descent.training.processes import use_granted_threads
from foundation.hardware import cpu_quota


@pytest.fixture
def before_torch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 0.0, 0.0))
    monkeypatch.setattr(threads, "cores_in_use", lambda: 1.0)
    return monkeypatch


def test_on_a_busy_machine(before_torch: pytest.MonkeyPatch) -> None:
    line = wait_politely()
    assert os.environ[VARIABLE] == "passive"
    assert line is not None
    assert "load 3.0" in line
    assert "results are the same" in line


def test_nothing_is_changed_otherwise(before_torch: pytest.MonkeyPatch) -> None:
    before_torch.setenv("OMP_NUM_THREADS", "1")
    assert wait_politely() is None, "one thread does not wait"
    before_torch.setenv("OMP_NUM_THREADS", "2")
    before_torch.setattr(os, "getloadavg", lambda: (0.1, 9.0, 9.0))
    assert wait_politely() is None, "nobody else computes"
    before_torch.setattr(os, "getloadavg", lambda: (3.0, 0.0, 0.0))
    before_torch.setattr(threads, "cores_in_use", lambda: 0.1)
    assert wait_politely() is None, "the load is of a program that has ended"
    assert VARIABLE not in os.environ
    before_torch.setattr(threads, "cores_in_use", lambda: 1.0)
    before_torch.setenv(VARIABLE, "active")
    assert wait_politely() is None, "the user has chosen"
    before_torch.delenv(VARIABLE)
    before_torch.setitem(sys.modules, "torch", torch)
    assert wait_politely() is None, "torch reads the variable when it is imported"


def test_without_the_counters_of_linux_the_load_decides(before_torch: pytest.MonkeyPatch) -> None:
    before_torch.setattr(threads, "cores_in_use", lambda: None)
    assert wait_politely() is not None


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_a_container(files: dict[str, str], cores: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == cores


def test_no_more_threads_than_the_container_grants(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr("descent.training.processes.usable_cores", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert use_granted_threads() is None
    monkeypatch.delenv("OMP_NUM_THREADS")
    line = use_granted_threads()
    assert asked == [2]
    assert line is not None
    assert line.startswith("2 of 64 threads compute")
