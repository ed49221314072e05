"""A plugin of pytest for the process that has the phantom GPU: it collects the tests, and forks for each that it's asked for.

Nothing in this process touches CUDA before a fork, so each test finds devices as a fresh process does, with torch and
Lightning imported already. A test of several ranks runs in as many forks at once, with the environment of `torchrun`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.phantom_gpu import device
from tests.phantom_gpu.warm import warm_up

GRACE = 10.0  # seconds that a rank gets when another has failed


@pytest.fixture(autouse=True)
def _as_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Switch on what the test's mark asks for, and see that nothing was left out or overwritten."""
    mark = request.node.get_closest_marker("phantom_gpu")
    wishes = mark.kwargs if mark else {}
    device.defer_copies(bool(wishes.get("deferred")))
    if wishes.get("values"):
        from tests.phantom_gpu.values import RealValues

        with RealValues():
            yield
        assert not RealValues.failed, f"the CPU could not compute {dict(RealValues.failed)}"
    else:
        yield
    device.defer_copies(False)
    assert not device.counts()["source_changed"], (
        "a pinned buffer was written to before its copy to the device had ended"
    )


@pytest.fixture
def shared_path() -> Path:
    """A folder that all ranks of the test share."""
    return Path(os.environ["PHANTOM_SHARED"])


@pytest.fixture
def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if "PHANTOM_PIPES" not in os.environ:
        return None  # pytest was started on the phantom GPU by hand
    reading, writing = map(int, os.environ.pop("PHANTOM_PIPES").split(","))
    warm_up()
    items = {item.nodeid: item for item in session.items}
    with os.fdopen(reading) as requests, os.fdopen(writing, "w") as answers:
        for line in requests:
            asked = json.loads(line)
            print(json.dumps(run(items[asked["test"]], asked["patience"])), file=answers, flush=True)
    return True


def run(item: pytest.Item, patience: float) -> list[dict[str, Any]]:
    """Run a test in forks, one for each rank; return the reports of rank 0, or those of a rank that failed."""
    mark = item.get_closest_marker("phantom_gpu")
    assert mark is not None
    ranks = mark.kwargs.get("ranks", 1)
    environment = {
        "PHANTOM_DEVICES": str(mark.kwargs.get("devices", ranks)),
        "PHANTOM_VALUES": str(int(mark.kwargs.get("values", False))),
        "PHANTOM_SHARED": tempfile.mkdtemp(dir=item.config._tmp_path_factory.getbasetemp()),  # type: ignore[attr-defined]
    }
    if ranks > 1:
        environment |= torchrun(ranks)
    if mark.kwargs.get("poisoned"):
        environment |= device.POISON
    forks = {}
    for rank in range(ranks):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if ranks > 1 else {}
        report = Path(environment["PHANTOM_SHARED"]) / f"reports-{rank}.json"
        forks[fork(item, environment | own, report)] = report
    reports = list(forks.values())
    ends = wait(dict.fromkeys(forks), patience, reports)
    found = [_read(report, end, item) for report, end in zip(reports, ends, strict=True)]
    return next((one for one in found if any(report.get("outcome") == "failed" for report in one)), found[0])


def torchrun(ranks: int) -> dict[str, str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    count = str(ranks)
    return {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1"} | {
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "phantom",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0",
    }


def fork(item: pytest.Item, environment: dict[str, str], report: Path) -> int:
    process = os.fork()
    if process:
        return process
    try:
        os.setpgid(0, 0)  # so that what the test starts can be ended with it
        os.environ.update(environment)
        device.library().phantom_read_environment()
        collected: list[Any] = []
        item.config.pluginmanager.register(Collector(collected))
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        hook = item.config.hook.pytest_report_to_serializable
        report.with_suffix(".part").write_text(json.dumps([hook(config=item.config, report=one) for one in collected]))
        report.with_suffix(".part").rename(report)
    finally:
        sys.stdout.flush()
        os._exit(0)


class Collector:
    def __init__(self, reports: list[Any]) -> None:
        self.reports = reports

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(report)


def wait(ends: dict[int, int | None], patience: float, reports: list[Path]) -> list[int | None]:
    """Wait for forks; end those that take too long, or that wait for one that has failed. Return their statuses."""
    until, order = time.monotonic() + patience, list(ends)
    while None in ends.values():
        for process, report in zip(order, reports, strict=True):
            if ends[process] is None and (found := os.waitpid(process, os.WNOHANG))[0]:
                ends[process] = found[1]
                if '"failed"' in (report.read_text() if report.exists() else '"failed"'):
                    until = min(until, time.monotonic() + GRACE)
        if time.monotonic() > until:
            for process in (process for process, end in ends.items() if end is None):
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                ends[process] = signal.SIGKILL
        time.sleep(0.005)
    for process in order:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
    return [ends[process] for process in order]


def _read(report: Path, end: int | None, item: pytest.Item) -> list[dict[str, Any]]:
    if report.exists():
        return list(json.loads(report.read_text()))
    failed = {"nodeid": item.nodeid, "location": item.location, "keywords": {}, "outcome": "failed", "when": "call"}
    text = f"the process of the test ended with status {end} and without a report; output is in the server's log"
    return [failed | {"longrepr": text, "$report_type": "TestReport"}]
