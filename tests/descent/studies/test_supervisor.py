"""A process that a run kills is replaced, and its signal and last lines are known."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import os, signal, sys
from descent.studies.running.supervisor import current_run, deaths_so_far, supervise
supervise()
print(len(deaths_so_far()), flush=True)
{}
print(deaths_so_far())
sys.exit(3)
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(textwrap.dedent(body))
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends the child with its parent")
def test_a_process_that_a_run_kills_is_started_again_with_signal_and_last_lines() -> None:
    ended = run("""
    if len(deaths_so_far()) < 2:
        with current_run("tune/0/A"):
            print("allocating", len(deaths_so_far()), file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert ended.returncode == 3
    assert ended.stdout.splitlines()[:3] == ["0", "1", "2"]
    assert ended.stdout.count("run:0', 'tune/0/A', 'SIGKILL") == ended.stdout.count("run:1', 'tune/0/A', 'SIGKILL") == 1
    assert "it printed last: allocating 1" in ended.stdout
    assert (
        ended.stderr.count("run tune/0/A ended the process by SIGKILL (the system sends it when memory runs out)") == 2
    )


def test_a_process_that_dies_outside_of_a_run_or_is_asked_to_end_is_not_started_again() -> None:
    assert run("os.kill(os.getpid(), signal.SIGKILL)").returncode == 128 + signal.SIGKILL
    asked = run("""
    with current_run("tune/0/A"):
        os.kill(os.getpid(), signal.SIGTERM)
    """)
    assert asked.returncode == 128 + signal.SIGTERM
    assert asked.stdout == "0\n"
