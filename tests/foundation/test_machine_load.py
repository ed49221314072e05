"""The load of other programs is that of the kernel's counters."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from foundation import machine_load
from foundation.machine_load import MachineLoad

TICKS = os.sysconf("SC_CLK_TCK") if sys.platform == "linux" else 100


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/stat")
def test_a_program_that_computes_uses_a_core() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        time.sleep(0.2)
        load = MachineLoad()
        time.sleep(0.5)
        found = load.cores()
        other.kill()
    assert found is not None
    assert found > 0.4


def test_seconds_of_idle_cores_and_of_this_process_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([[100, 0, 50, 900, 7, 0, 0, 3], [100 + 2 * TICKS, TICKS, 50 + TICKS, 5000, 70, 0, 0, 30]])
    monkeypatch.setattr(Path, "read_text", lambda _: f"cpu  {' '.join(map(str, next(counts)))} 0 0\ncpu0 1 2 3\n")
    monkeypatch.setattr(machine_load, "_own_seconds", iter([1.0, 2.0]).__next__)
    monkeypatch.setattr(machine_load, "time", SimpleNamespace(monotonic=iter([10.0, 12.0]).__next__))
    assert MachineLoad().cores() == pytest.approx((4 - 1) / 2)


@pytest.mark.parametrize("text", [None, "cpu  0 0 0 0 0 0 0 0 0 0\n"])
def test_where_there_are_no_counters_nothing_is_claimed(text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: Path) -> str:
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(Path, "read_text", read)
    assert MachineLoad().cores() is None
