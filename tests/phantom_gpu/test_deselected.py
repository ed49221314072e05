"""Where the phantom GPU cannot be built, pytest deselects its tests and prints a line, also with `-n`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.phantom_gpu.build import ROOT


@pytest.mark.parametrize("processes", ["0", "1"])
def test_pytest_prints_a_line(processes: str, tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    words = [
        "-q",
        "-n",
        processes,
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path}",
        "tests/phantom_gpu/test_device.py",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        env=environment | {"PATH": str(tmp_path)},  # no gcc there
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "marked phantom_gpu are deselected" in line]
    assert lines
    assert lines[0].endswith("no gcc (apt-get install gcc binutils)")
