"""The load of other programs while something is timed."""

import os
import time
from pathlib import Path

ALONE = 0.1
"""Share of one core up to which other programs may use the machine while a run is timed."""


class MachineLoad:
    """Measure how many cores other programs keep busy, from the counters of the kernel.

    Example:
        >>> load = MachineLoad()
        >>> cores = load.cores()
        >>> cores is None or cores >= 0
        True
    """

    def __init__(self) -> None:
        self._busy, self._own, self._started = _busy_seconds(), _own_seconds(), time.monotonic()

    def cores(self) -> float | None:
        """Return the average since the object was made; `None` where the system has no counters."""
        busy, elapsed = _busy_seconds(), max(time.monotonic() - self._started, 1e-3)
        if busy is None or self._busy is None:
            return None
        return max(0.0, busy - self._busy - (_own_seconds() - self._own)) / elapsed


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy_seconds() -> float | None:
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, _steal = (int(value) for value in fields)
    busy = user + nice + system + irq + softirq
    return busy / os.sysconf("SC_CLK_TCK") if busy else None  # some sandboxes show a file of zeros
