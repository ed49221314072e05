"""Measure contestants in turns and compare them by ratios within a round, which other load changes least."""

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descent.studies.statistics.intervals import t_interval


class Ratio(NamedTuple):
    """Geometric mean of paired ratios with its 95 % interval (Student's t of the logarithms)."""

    middle: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.middle:.3f} ({self.low:.3f} to {self.high:.3f})"


def in_turns(
    contestants: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 0, shuffle: bool = False
) -> dict[str, list[float]]:
    """Measure the contestants in turns.

    Args:
        contestants: By name, a function that returns what it measured (seconds).
        rounds: Number of rounds that count.
        warm_up: Number of rounds before them, whose results are dropped.
        shuffle: Whether each round has a random order; otherwise every second round runs in reverse order.

    Returns:
        By name, the results of each round.
    """
    results: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(warm_up + rounds):
        order = list(contestants) if number % 2 == 0 else list(contestants)[::-1]
        if shuffle:
            random.Random(number).shuffle(order)
        for name in order:
            result = contestants[name]()
            if number >= warm_up:
                results[name].append(result)
    return results


def paired_ratio(times: Sequence[float], reference: Sequence[float]) -> Ratio:
    """Compute how many times as long as the reference a contestant takes, from the ratios of each round.

    Args:
        times: Seconds of a contestant, one value > 0 per round; at least two rounds.
        reference: Seconds of the reference in the same rounds.

    Example:
        >>> print(paired_ratio([2.0, 2.2, 1.8], [1.0, 1.1, 0.9]))
        2.000 (2.000 to 2.000)
    """
    logs = [math.log(time / other) for time, other in zip(times, reference, strict=True)]
    mean, low, high = (math.exp(float(value)) for value in t_interval(logs))
    return Ratio(mean, low, high, len(logs))


def mean_difference(differences: Sequence[float] | NDArray[np.float64]) -> str:
    """Describe the mean of paired differences, with its 95 % interval if there are several.

    Example:
        >>> mean_difference([0.25]), mean_difference([0.25, 0.25, 0.25])
        ('+0.2500', '+0.2500 (+0.2500 to +0.2500)')
    """
    if len(differences) < 2:
        return f"{np.mean(differences):+.4f}"
    mean, low, high = (float(value) for value in t_interval(differences))
    return f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"


def median_ratio(times: Sequence[float], reference: Sequence[float]) -> tuple[float, float, float]:
    """Compute the median of the ratios of each round, with the lower and the upper quartile.

    Example:
        >>> median_ratio([2.0, 2.2, 1.8], [1.0, 1.0, 1.0])
        (2.0, 1.8, 2.2)
    """
    ratios = [time / other for time, other in zip(times, reference, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high
