"""Where network namespaces are not possible, pytest deselects the test and prints a line, also with `-n`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINE = "1 tests marked netns are deselected: no network namespaces (as root, apt-get install iproute2)"


@pytest.mark.parametrize("processes", ["0", "1"])
def test_pytest_prints_a_line(processes: str, tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    words = ["-q", "-n", processes, "-p", "no:cacheprovider", f"--basetemp={tmp_path}", "tests/nodes/test_two_nodes.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        env=environment | {"PATH": str(tmp_path)},  # no `ip` there
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
    assert LINE in done.stdout.splitlines()
