"""Time to reach a target score, and the expected best score of k tuning trials."""

import math
from collections.abc import Sequence
from math import comb

import numpy as np


def first_reached(clock: Sequence[float], scores: Sequence[float], target: float, larger_is_better: bool) -> float:
    """Find when a curve first reaches a target; infinite if it never does.

    Args:
        clock: Steps or seconds at each validation, ascending.
        scores: The metric at each validation; NaN never reaches the target.
        target: The score to reach.
        larger_is_better: Whether the curve reaches the target from below or from above.

    Example:
        >>> first_reached([10, 20, 30], [0.5, 0.8, 0.9], target=0.75, larger_is_better=True)
        20.0
        >>> first_reached([10, 20, 30], [0.5, 0.6, 0.7], target=0.75, larger_is_better=True)
        inf
    """
    pairs = zip(clock, scores, strict=True)
    return float(
        next((time for time, score in pairs if (score >= target if larger_is_better else score <= target)), math.inf)
    )


def censored_median(times: Sequence[float]) -> float:
    """Compute the median of times of which some are infinite (never reached); NaN if there are none.

    Example:
        >>> censored_median([3.0, 1.0, math.inf]), censored_median([1.0, math.inf])
        (3.0, inf)
    """
    return float(np.median(times)) if len(times) else math.nan


def expected_best(scores: Sequence[float], larger_is_better: bool) -> list[float]:
    r"""Compute the expected best score of k trials drawn without replacement from the K that were run, k = 1 … K.

    $$E_k = \sum_{i=k}^{K} \frac{\binom{i-1}{k-1}}{\binom{K}{k}}\, x_{(i)}, \qquad x_{(1)} \le \dots \le x_{(K)}$$

    This is the exact value of what Sivaprasad et al. estimate by resampling.

    Args:
        scores: One finite score per trial; give a trial that diverged the worst score of all.
        larger_is_better: Whether the largest score is the best, or the smallest.

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
