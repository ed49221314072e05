"""What every test has: one thread, an environment that it leaves as it was, the programs that it needs.

Tests that need a program of the system are deselected where it is not: pytest counts them, and a line says why.
"""

import glob
import logging
import os
import shutil
import subprocess
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
    "MALLOC_MMAP_MAX_",
    "MALLOC_TRIM_THRESHOLD_",
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


@pytest.fixture(autouse=True)
def _logging_is_left_as_it_was() -> Iterator[None]:
    """A benchmark's main quiets Lightning for the process that it expects to have to itself."""
    names = ["lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"]
    levels, disabled = {name: logging.getLogger(name).level for name in names}, logging.root.manager.disable
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.disable(disabled)


NEEDS = {
    "postgres": ("initdb", "/usr/lib/postgresql/*/bin/initdb", "postgresql"),
    "chromium": ("chromium", "/usr/bin/chromium*", "chromium"),
}
_absent: set[str] = set()


def namespaces_work() -> bool:
    """Whether a network namespace can be made here: it takes root's rights besides the program."""
    name = f"descent{os.getpid()}"
    try:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    except OSError:
        return False
    return made.returncode == 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("netns")]
    if marked and not ("netns" in config.option.markexpr and namespaces_work()):
        _absent.add(
            f"{len(marked)} tests marked netns are deselected: pytest -m netns runs them, alone, on a quiet machine, as root, "
            "with iproute2"
        )
        items[:] = [item for item in items if item not in marked]
        config.hook.pytest_deselected(items=marked)
    for mark, (program, pattern, package) in NEEDS.items():
        if shutil.which(program) or glob.glob(pattern):  # noqa: PTH207
            continue
        marked = [item for item in items if item.get_closest_marker(mark)]
        if marked:
            _absent.add(f"{len(marked)} tests marked {mark} are deselected: no {program} (apt-get install {package})")
            items[:] = [item for item in items if item not in marked]
            config.hook.pytest_deselected(items=marked)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in sorted(_absent):
        terminalreporter.write_line(line, yellow=True)
