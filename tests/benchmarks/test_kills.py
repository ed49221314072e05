"""Two real kills of `descent fit`; two hundred are a benchmark."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_two_kills_change_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.checkpoints.kills", "--kills", "2"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tally = dict(line.split() for line in ended.stdout.splitlines() if len(line.split()) == 2)
    assert tally["kills"] == "2"
    assert tally["within_saves"] != "0"
    assert (tally["damaged"], tally["lost"], tally["different"]) == ("0", "0", "0")
