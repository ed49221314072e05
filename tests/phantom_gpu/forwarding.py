"""Hooks of pytest: a test marked `phantom_gpu` runs in a process that has the phantom GPU, and is reported here.

That process (`served.py`) is started once, when the first such test is due: it imports torch and Lightning, collects the
marked tests, and forks for each one that it's asked for. With `-n` each worker of xdist has its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest

from tests.phantom_gpu import device
from tests.phantom_gpu.build import ROOT

PATIENCE = 300  # seconds for one test, on a busy machine
MARK = (
    "phantom_gpu(values=False, devices=1, ranks=1, deferred=False, poisoned=False): runs on the phantom GPU "
    "(tests/phantom_gpu/README.md); deselected where it cannot be built"
)


class Server:
    """The process that runs the marked tests."""

    def __init__(self, files: list[str], folder: Path) -> None:
        self.folder, self.log = folder, folder / "server.log"
        requests, self.requests = _pipe()
        self.answers, answers = _pipe()
        added = device.environment() | {"PHANTOM_PIPES": f"{requests.fileno()},{answers.fileno()}"}
        added |= {"OMP_NUM_THREADS": "1"}
        options = ["-q", "-p", "tests.phantom_gpu.served", "-p", "no:cacheprovider", "-p", "no:xdist", "--capture=sys"]
        kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *options, f"--basetemp={folder / 'tests'}", *files],
                cwd=ROOT,
                env=kept | added,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                pass_fds=[requests.fileno(), answers.fileno()],
            )
        requests.close()
        answers.close()

    def run(self, nodeid: str) -> list[dict[str, Any]]:
        """Return the serialized reports of a test."""
        try:
            print(json.dumps({"test": nodeid, "patience": PATIENCE}), file=self.requests, flush=True)
            line = self.answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"the process with the phantom GPU has ended:\n{self.log.read_text()[-4000:]}")
        reports: list[dict[str, Any]] = json.loads(line)
        return reports

    def close(self) -> None:
        self.requests.close()
        self.process.wait(timeout=60)
        self.answers.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _pipe() -> tuple[IO[str], IO[str]]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "r"), os.fdopen(writing, "w")


_server: list[Server] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    if item.get_closest_marker("phantom_gpu") is None or device.present():
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.session._setupstate.teardown_exact(nextitem)  # of the module, if an ordinary test ran before in it
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports(item: pytest.Item) -> list[pytest.TestReport]:
    try:
        if not _server:
            marked = [other for other in item.session.items if other.get_closest_marker("phantom_gpu")]
            folder = Path(tempfile.mkdtemp(prefix="phantom-gpu-"))
            _server.append(Server(sorted({str(other.path) for other in marked}), folder))
        data = _server[0].run(item.nodeid)
    except Exception as error:
        failed = {"nodeid": item.nodeid, "location": item.location, "keywords": {}, "outcome": "failed", "when": "call"}
        return [pytest.TestReport(**failed, longrepr=str(error))]  # type: ignore[arg-type]
    return [item.config.hook.pytest_report_from_serializable(config=item.config, data=one) for one in data]


def pytest_unconfigure() -> None:
    while _server:
        _server.pop().close()
