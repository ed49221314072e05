"""Processes of Python, with or without the tuned allocator, and the memory of this process (Linux)."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from descent.allocator import FOR_CHILDREN, SWITCH

ROOT = Path(__file__).parents[2]


def run_python(
    words: list[str], folder: "str | Path | None" = None, environment: Mapping[str, str] | None = None
) -> str:
    """Run Python with these arguments in a folder, and return what it prints.

    Args:
        words: Arguments of the interpreter, e.g. `["-m", "cli", "fit"]`.
        folder: Working folder; by default the current one.
        environment: Variables of the process; by default those of this one.

    Raises:
        CalledProcessError: The process failed.
    """
    variables = {**(os.environ if environment is None else environment), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, *words], cwd=folder, env=variables, check=True, capture_output=True, text=True
    )
    return ended.stdout


def environment_with_allocator(choice: str | None) -> dict[str, str]:
    """Return this process's variables for the allocator `tuned` or `system`; with `None`, without such a setting."""
    plain = {name: value for name, value in os.environ.items() if name not in (*FOR_CHILDREN, SWITCH)}
    return plain if choice is None else plain | {SWITCH: choice}


def resident_bytes() -> int:
    """Return the memory that this process uses now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak_bytes() -> int:
    """Return the largest memory that this process has used since the last `reset_peak`."""
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0])


def reset_peak() -> int:
    """Start counting the peak anew; return the memory in use now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()
