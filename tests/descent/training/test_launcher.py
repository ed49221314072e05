"""The launcher of several processes on this machine; test_processes.py tests what it does when one of them ends."""

from collections.abc import Iterator

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities import distributed

from descent.training.launcher import WatchedLauncher


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def started(processes: int, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("LOCAL_RANK", "1")  # as in a process that Lightning started
    monkeypatch.setattr(distributed, "_num_cpus_available", lambda: 12)
    return int(
        WatchedLauncher(LightningEnvironment(), num_processes=processes, num_nodes=1).launch(torch.get_num_threads)
    )


def test_each_process_gets_its_share_of_the_cores(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")  # tests/conftest.py sets it
    assert started(4, monkeypatch) == 3


def test_the_users_number_of_threads_is_kept(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert started(4, monkeypatch) == threads
