"""Differences between candidates over the same seeds."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from studies.intervals import Floats, Interval, t_interval
from studies.multiplicity import holm


class Difference(NamedTuple):
    """A mean difference with its interval and p-value; arrays where many were asked for at once."""

    interval: Interval
    p_value: Floats


def paired_difference(values: ArrayLike, others: ArrayLike, confidence: float = 0.95) -> Difference:
    r"""Student's paired test: $d = x - y$ seed by seed, $T = \bar d \sqrt S / s_d$, two-sided.

    Pairs share initial weights and batches; what a seed does to both cancels.

    Args:
        values: $x$, one a seed along the last axis; S ≥ 2.
        others: $y$, of the same seeds.
        confidence: Of the interval, in (0, 1).

    Shape:
        `(…, S)`, `(…, S)` → each `(…)`.

    Example:
        >>> difference = paired_difference([2.0, 3.1, 4.0, 5.2], [1.0, 2.0, 3.1, 4.0])
        >>> print(f"{difference.interval.mean:.2f}, p = {difference.p_value:.4f}")
        1.05, p = 0.0005

    Reference:
        Student, "The probable error of a mean", 1908.
    """
    d = np.asarray(values, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    interval = t_interval(d, confidence)
    seeds = d.shape[-1]
    error = d.std(axis=-1, ddof=1) / np.sqrt(seeds)
    exact = error <= 1e-12 * np.abs(d).max(axis=-1, initial=0.0)  # the same difference in every seed, but for rounding
    t = np.abs(interval.mean) / np.where(exact, 1.0, error)
    p = np.where(exact, np.where(interval.mean == 0, 1.0, 0.0), 2 * stats.t.sf(t, seeds - 1))
    return Difference(interval, p)


class PairwiseTests(NamedTuple):
    """Every pair of candidates, tested as one family."""

    pairs: list[tuple[int, int]]
    """(i, j) with i < j; entry k of the others belongs to pair k."""

    difference: Difference
    """Candidate i less candidate j; p-values before correction."""

    corrected: Floats
    """p-values after Holm's correction over all pairs."""


def all_pairs(scores: ArrayLike, confidence: float = 0.95) -> PairwiseTests:
    """Test every pair of C candidates, corrected over all pairs, so that any order may be read from the result.

    Args:
        scores: One row a candidate, one column a seed; C ≥ 2, S ≥ 2.
        confidence: Of each interval, uncorrected.

    Shape:
        `(…, C, S)` → p-values `(…, C·(C − 1)/2)`.

    Raises:
        ValueError: Fewer than two candidates or seeds.
    """
    x = np.asarray(scores, dtype=np.float64)
    if x.ndim < 2 or x.shape[-2] < 2:
        raise ValueError(f"a comparison needs at least 2 candidates, got scores of shape {x.shape}.")
    pairs = list(combinations(range(x.shape[-2]), 2))
    first, second = (x[..., list(side), :] for side in zip(*pairs, strict=True))
    difference = paired_difference(first, second, confidence)
    return PairwiseTests(pairs, difference, holm(difference.p_value))
