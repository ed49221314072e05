"""Where a program of the system is missing, pytest deselects the tests that need it and prints why, also with `-n`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = {
    "tests/nodes/test_two_nodes.py": "tests marked netns are deselected: no network namespaces (as root, apt-get install iproute2)",
    "tests/phantom_gpu/test_device.py": "tests marked phantom_gpu are deselected: no gcc (apt-get install gcc binutils)",
}


@pytest.mark.parametrize("processes", ["0", "1"])
def test_pytest_prints_a_line(processes: str, tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            processes,
            "-p",
            "no:cacheprovider",
            f"--basetemp={tmp_path}",
            *LINES,
        ],
        cwd=ROOT,
        env=environment | {"PATH": str(tmp_path)},  # no `ip` and no gcc there
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
    said = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    assert set(LINES.values()) <= set(said), done.stdout
