"""Lines that say how far a long command is, also where its output goes to a file or a pipe."""

import time

from foundation.processes import say

INTERVAL = 10.0
"""Seconds between two lines within a stage."""


class ProgressLines:
    """Print a line at the start of each stage, and within a stage every ten seconds.

    Args:
        command: Begins each line.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.stage, self._last = "", time.monotonic()

    def start(self, stage: str) -> None:
        """Print that a stage begins."""
        self.stage, self._last = stage, time.monotonic()
        say(f"{self.command}: {stage}")

    def at(self, position: str) -> None:
        """Print where the stage is, unless a line was printed shortly before."""
        if time.monotonic() - self._last >= INTERVAL:
            self._last = time.monotonic()
            say(f"{self.command}: {self.stage}, {position}")
