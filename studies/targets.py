"""Steps and seconds until a target is reached; what never reaches it is censored."""

import math
from collections.abc import Sequence


def first_reached(clock: Sequence[float], scores: Sequence[float], target: float, larger_is_better: bool) -> float:
    """Where on the clock a curve first reaches a target; infinite if it never does.

    Args:
        clock: Steps or seconds at each validation, ascending.
        scores: The metric there; NaN reaches nothing.
        target: To be reached or passed.
        larger_is_better: Direction of passing.

    Example:
        >>> first_reached([10, 20, 30], [0.5, 0.8, 0.9], target=0.75, larger_is_better=True)
        20.0
        >>> first_reached([10, 20, 30], [0.5, 0.6, 0.7], target=0.75, larger_is_better=True)
        inf
    """
    for time, score in zip(clock, scores, strict=True):
        if score >= target if larger_is_better else score <= target:
            return float(time)
    return math.inf


def censored_median(times: Sequence[float]) -> float:
    """Median where unreached (infinite) times take part; infinite when half or more never arrived.

    Example:
        >>> censored_median([3.0, 1.0, math.inf]), censored_median([1.0, math.inf])
        (3.0, inf)
    """
    ordered = sorted(times)
    if not ordered:
        return math.nan
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
