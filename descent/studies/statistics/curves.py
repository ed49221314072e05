"""What tuning buys: the expected best of k trials, from one pool of trials."""

import math
from collections.abc import Sequence
from math import comb


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


def expected_best(scores: Sequence[float], larger_is_better: bool) -> list[float]:
    r"""Mean best score of k trials drawn without replacement from the K that were run, for k = 1 … K.

    $$E_k = \sum_{i=k}^{K} \frac{\binom{i-1}{k-1}}{\binom{K}{k}}\, x_{(i)}, \qquad x_{(1)} \le \dots \le x_{(K)}$$

    Exact, where Sivaprasad et al. resample. A trial that diverged counts as the worst score that there is.

    Args:
        scores: One a trial, finite.
        larger_is_better: Otherwise the smallest is the best.

    Example:
        >>> expected_best([1.0, 2.0, 4.0], larger_is_better=True)
        [2.3333333333333335, 3.3333333333333335, 4.0]

    Reference:
        P. T. Sivaprasad, F. Mai, T. Vogels, M. Jaggi, F. Fleuret, "Optimizer Benchmarking Needs to Account for
        Hyperparameter Tuning", 2020.
    """
    ordered = sorted(scores, reverse=not larger_is_better)  # the best comes last
    total = len(ordered)
    return [
        sum(comb(i - 1, k - 1) * ordered[i - 1] for i in range(k, total + 1)) / comb(total, k)
        for k in range(1, total + 1)
    ]
