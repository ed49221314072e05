"""The time limit of a study: what is spent, what is left, and whether more runs fit."""

import os
import time
from collections import deque
from pathlib import Path

REPORT = 3.0
"""Seconds that the report takes on an idle core; a busy machine takes longer in proportion to `Budget.slowness`."""
SLOWEST = 12.0
"""Times as long as on an idle core that the report is expected to take at most."""
IDLE_CHECK = 0.25
"""Seconds that the check of one candidate's config takes on an idle core."""


class Budget:
    """Measure a study's time against its limit.

    Args:
        seconds: The limit, or `None` for no limit.
        started: When this process began to work on the study, by `time.monotonic()`.
        earlier: Seconds that earlier processes have spent on it.
    """

    def __init__(self, seconds: float | None, started: float, earlier: float = 0.0) -> None:
        self.seconds, self.started, self.earlier = seconds, started, earlier
        self.slowness = 1.0
        self._shortest: dict[str, float] = {}
        self._recent: deque[float] = deque(maxlen=3)

    def observe_check(self, seconds: float, candidates: int) -> None:
        """Tell how long the candidates' check took, from which the report's time on this machine is estimated."""
        self.slowness = min(max(seconds / (IDLE_CHECK * candidates), 1.0), 4.0)

    def observe_run(self, candidate: str, seconds: float) -> None:
        """Tell how long a run took, from which it follows how much slower the machine has become."""
        self._shortest[candidate] = min(seconds, self._shortest.get(candidate, seconds))
        self._recent.append(seconds / max(self._shortest[candidate], 1e-9))

    @property
    def spent(self) -> float:
        """Seconds since the study began, without pauses between processes."""
        return self.earlier + time.monotonic() - self.started

    @property
    def reserve(self) -> float:
        """Seconds to keep for the report: more on a busy machine, and if the last runs took longer than others."""
        slower = sum(self._recent) / len(self._recent) if self._recent else 1.0
        return REPORT * min(self.slowness * slower, SLOWEST)

    @property
    def left(self) -> float:
        """Seconds for further runs; infinite without a limit."""
        return float("inf") if self.seconds is None else self.seconds - self.spent - self.reserve


def process_start() -> float:
    """Return when this process was started, by `time.monotonic()`; now, where the system does not tell."""
    now = time.monotonic()
    try:
        ticks = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return now - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError, IndexError, ValueError):
        return now
