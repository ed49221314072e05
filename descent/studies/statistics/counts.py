"""Proportions of runs: how often one candidate is better than another, how often a run fails; steps of a metric."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from descent.studies.statistics.intervals import Floats


class Proportion(NamedTuple):
    """A proportion and the ends of its confidence interval: numbers, or arrays."""

    share: Floats
    low: Floats
    high: Floats


def proportion(count: ArrayLike, total: ArrayLike, confidence: ArrayLike = 0.95, ties: ArrayLike = 0) -> Proportion:
    r"""Compute a proportion with its exact interval (Clopper and Pearson).

    $$[B_{\alpha/2}(k,\, n - k + 1),\ B_{1-\alpha/2}(k + t + 1,\, n - k - t)], \qquad B \text{ the quantile of the beta
    distribution}$$

    Args:
        count: k successes.
        total: n ≥ 0 trials; without any the interval is [0, 1].
        confidence: In (0, 1): the interval contains the true proportion at least as often.
        ties: t trials that are neither success nor failure: half of each in the share, no success in the lower end and
            no failure in the upper one.

    Example:
        >>> none_of_eight = proportion(0, 8)
        >>> print(f"{none_of_eight.share:.2f} [{none_of_eight.low:.2f}, {none_of_eight.high:.2f}]")
        0.00 [0.00, 0.37]

    Reference:
        C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
        binomial", 1934.
    """
    k, n, t = (np.asarray(value, dtype=np.float64) for value in (count, total, ties))
    tail = (1 - np.asarray(confidence, dtype=np.float64)) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.where(k > 0, stats.beta.ppf(tail, k, n - k + 1), 0.0)
        high = np.where(k + t < n, stats.beta.ppf(1 - tail, k + t + 1, n - k - t), 1.0)
        return Proportion((k + t / 2) / n, low, high)


def superiority(values: ArrayLike, others: ArrayLike, confidence: ArrayLike = 0.95) -> Proportion:
    """Estimate the probability that a run of one candidate is better than the run of another with the same seed.

    The interval assumes nothing of the noise. A diverged run is worse than every other.

    Args:
        values: One value per seed along the last axis; larger is better, −∞ is a diverged run, NaN a missing one.
        others: Values of the same seeds.
        confidence: In (0, 1).

    Shape:
        `(…, S)`, `(…, S)` → each `(…)`.

    Example:
        >>> chance = superiority([3.0, 2.0, 5.0, 1.0], [1.0, 1.0, 4.0, float("-inf")])
        >>> print(f"{chance.share:.2f} [{chance.low:.2f}, {chance.high:.2f}]")
        1.00 [0.40, 1.00]

    Reference:
        X. Bouthillier et al., "Accounting for variance in machine learning benchmarks", 2021.
    """
    x, y = np.asarray(values, dtype=np.float64), np.asarray(others, dtype=np.float64)
    both = ~(np.isnan(x) | np.isnan(y))
    wins, ties = (both & (x > y)).sum(axis=-1), (both & (x == y)).sum(axis=-1)
    return proportion(wins, both.sum(axis=-1), confidence, ties)


def resolution(values: ArrayLike) -> float:
    """Return the smallest step between the values of a metric; 0 if there are fewer than two different ones.

    An accuracy of 360 images moves in steps of 1/360, so that equal scores of a few runs do not mean that their spread
    is 0. For a metric that is not counted the step is so small that it does not matter.

    Args:
        values: All finite scores of a study.

    Example:
        >>> print(f"{resolution([352 / 359, 351 / 359, 352 / 359]) * 359:.2f}")
        1.00
    """
    found = np.unique(np.asarray(values, dtype=np.float64))
    gaps = np.diff(found[np.isfinite(found)])
    gaps = gaps[gaps > 1e-6 * np.abs(found).max(initial=0.0)]  # equal scores may differ in the last digits
    return float(gaps.min()) if len(gaps) else 0.0
