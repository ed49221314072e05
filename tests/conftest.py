"""What every test has: one thread, and an environment that it leaves as it was."""

import os
from collections.abc import Iterator

import pytest
import torch

# The processes that tests start share the cores with the other tests: with a thread a core they'd wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Set once for the process and the ones that it starts, by Lightning, by torch's threads, by our allocator.
SET_FOR_THE_PROCESS = {
    "CUDA_MODULE_LOADING",
    "DESCENT_RUN_FOLDER",
    "KINETO_LOG_LEVEL",
    "KMP_DUPLICATE_LIB_OK",
    "KMP_INIT_AT_FORK",
    "PL_GLOBAL_SEED",
    "PYTORCH_NVML_BASED_CUDA_CHECK",
    "TORCHINDUCTOR_CACHE_DIR",
    "PL_SEED_WORKERS",
    "THP_MEM_ALLOC_ENABLE",
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _environment_is_left_as_it_was() -> Iterator[None]:
    before = dict(os.environ)
    yield
    for name in SET_FOR_THE_PROCESS - before.keys():
        os.environ.pop(name, None)
    changed = {n for n in before.keys() | os.environ.keys() if before.get(n) != os.environ.get(n)}
    changed -= SET_FOR_THE_PROCESS | {"PYTEST_CURRENT_TEST"}
    assert not changed, f"the test leaves {sorted(changed)} changed in the environment"
