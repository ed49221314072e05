"""Bootstrap intervals of scores that are functions of means over the samples."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RESAMPLES = 2000
MAX_GROUPS = 2000
"""More samples are put into this many random groups, which are drawn instead: time and memory stay linear."""


def bootstrap_intervals(samples: Array, scores: Callable[[Array], Array], seed: int = 0) -> list[tuple[float, float]]:
    r"""Return the 95 % percentile intervals of scores :math:`s(\bar{x})`, over samples that are drawn again.

    A resample draws N of the N samples with replacement, so sample n is drawn :math:`w_n` times,
    :math:`w \sim Multinomial(N, 1/N)`, and its scores are :math:`s(\sum_n w_n x_n / \sum_n w_n)`. The interval goes
    from the 2.5th to the 97.5th percentile of the scores of 2,000 resamples. It is NaN for fewer than two samples.

    Args:
        samples: What is averaged, finite `(N, S)`.
        scores: Maps means `(R, S)` to M scores `(R, M)`; NaN where a score is not defined.
        seed: ≥ 0; the same seed gives the same intervals.

    Example:
        >>> values = np.arange(100.0)[:, None]
        >>> low, high = bootstrap_intervals(values, lambda means: means)[0]
        >>> bool(43 < low < 45 and 54 < high < 56)  # 49.5 ± 1.96 · 28.9 / 10
        True

    Reference:
        B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    generator = np.random.default_rng(seed)
    sums = np.hstack([samples, np.ones((len(samples), 1))])
    if len(samples) > MAX_GROUPS:
        order = generator.permutation(len(samples))
        starts = np.linspace(0, len(samples), MAX_GROUPS, endpoint=False).astype(int)
        sums = np.add.reduceat(sums[order], starts, axis=0)
    count = len(sums)
    weights = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
    drawn = weights @ sums
    found = scores(drawn[:, :-1] / drawn[:, -1:])
    if len(samples) < 2:
        return [(float("nan"), float("nan"))] * found.shape[1]
    return [_percentiles(column[np.isfinite(column)]) for column in found.T]


def _percentiles(values: Array) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)
