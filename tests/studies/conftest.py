"""Tests that need a program of the system are deselected where it is not: pytest counts them, and a line says why."""

import glob
import shutil

import pytest

NEEDS = {
    "postgres": ("initdb", "/usr/lib/postgresql/*/bin/initdb", "postgresql"),
    "chromium": ("chromium", "/usr/bin/chromium*", "chromium"),
}
_absent: set[str] = set()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
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
