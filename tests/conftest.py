"""What every test has: one thread, an environment that it leaves as it was, the programs that it needs.

Tests that need a program of the system are deselected where it is not: pytest counts them, and a line says why.
"""

import glob
import logging
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from tests.left_files import the_folder_of_the_repository_is_left_as_it_was  # noqa: F401
from tests.nodes.cable import namespaces_work
from tests.phantom_gpu import build, forwarding
from tests.phantom_gpu.forwarding import pytest_runtest_protocol, pytest_unconfigure  # noqa: F401

# The processes that tests start share the cores with the other tests: with a thread a core they'd wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Set once for the process and the ones that it starts, by Lightning, by torch's threads, by our allocator.
SET_FOR_THE_PROCESS = {
    "CUDA_DEVICE_ORDER",
    "CUBLAS_WORKSPACE_CONFIG",
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
def _learning_curves_are_empty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes a third of a short fit. A test of the figure itself has the mark `curves`."""
    if not request.node.get_closest_marker("curves"):
        monkeypatch.setattr("callbacks.reporting.learning_curves.figure_of", lambda *_: Figure(figsize=(1, 1)))


@pytest.fixture(autouse=True)
def _other_figures_are_empty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a search or a page of diagnostics takes longer than the run. A test of the figure has the mark `drawn`."""
    if not request.node.get_closest_marker("drawn"):
        for name in ("callbacks.learning_rate.figure.lr_figure", "callbacks.diagnostics.page.heat_map"):
            monkeypatch.setattr(name, lambda *_: Figure(figsize=(1, 1)))


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


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", forwarding.MARK)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for mark, (program, pattern, package) in NEEDS.items():
        if not shutil.which(program) and not glob.glob(pattern):  # noqa: PTH207
            deselect(mark, f"no {program} (apt-get install {package})", config, items)
    if any(item.get_closest_marker("netns") for item in items) and not namespaces_work():
        deselect("netns", "no network namespaces (as root, apt-get install iproute2)", config, items)
    if any(item.get_closest_marker("phantom_gpu") for item in items) and build.missing():
        deselect("phantom_gpu", build.missing(), config, items)


def deselect(mark: str, reason: str, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests with this mark out, and remember to say so."""
    marked = [item for item in items if item.get_closest_marker(mark)]
    if marked:
        _absent.add(f"{len(marked)} tests marked {mark} are deselected: {reason}")
        items[:] = [item for item in items if item not in marked]
        config.hook.pytest_deselected(items=marked)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With `-n` another process prints than the ones that deselect; it learns what they have left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["absent"] = sorted(_absent)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The end of one of those processes."""
    _absent.update(getattr(node, "workeroutput", {}).get("absent", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in sorted(_absent):
        terminalreporter.write_line(line, yellow=True)
