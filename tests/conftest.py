"""What every test has: one thread, a working folder of its own, an environment that it leaves as it was."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# Lightning sets these for the processes that it starts; they change nothing in this one.
SET_BY_LIGHTNING = {
    "PL_GLOBAL_SEED",
    "PL_SEED_WORKERS",
    "DESCENT_RUN_FOLDER",
    "KINETO_LOG_LEVEL",
    "CUDA_MODULE_LOADING",
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _environment_is_left_as_it_was() -> Iterator[None]:
    before = dict(os.environ)
    yield
    for name in SET_BY_LIGHTNING - before.keys():
        os.environ.pop(name, None)
    changed = {n for n in before.keys() | os.environ.keys() if before.get(n) != os.environ.get(n)}
    changed -= SET_BY_LIGHTNING | {"PYTEST_CURRENT_TEST"}
    assert not changed, f"the test leaves {sorted(changed)} changed in the environment"
