"""Contestants take turns; what counts is the ratio within a round, which a busy machine changes least."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from descent.studies.statistics.intervals import t_interval
from foundation.hardware import describe_machine


class Ratio(NamedTuple):
    """Geometric mean of paired ratios with its 95 % interval (Student's t on the logarithms)."""

    middle: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.middle:.3f} ({self.low:.3f} to {self.high:.3f})"


def paired_ratio(times: Sequence[float], reference: Sequence[float]) -> Ratio:
    """How many times as long as the reference, round by round.

    Args:
        times: Of a contestant, one a round, > 0; at least two rounds.
        reference: Of what it is compared with, in the same rounds.

    Example:
        >>> print(paired_ratio([2.0, 2.2, 1.8], [1.0, 1.1, 0.9]))
        2.000 (2.000 to 2.000)
    """
    logs = [math.log(time / other) for time, other in zip(times, reference, strict=True)]
    found = t_interval(logs)
    return Ratio(math.exp(float(found.mean)), math.exp(float(found.low)), math.exp(float(found.high)), len(logs))


def machine_line() -> str:
    """Processor and versions, for the file that keeps the numbers."""
    facts = describe_machine()
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)


def keep(rows: Sequence[NamedTuple], file: Path) -> None:
    """Write rows of one kind as CSV, the machine in a last column."""
    file.parent.mkdir(parents=True, exist_ok=True)
    machine = machine_line()
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow([*rows[0]._fields, "machine"])
        writer.writerows([*row, machine] for row in rows)
