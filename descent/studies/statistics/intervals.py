"""95 % intervals of a mean over few seeds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean with its interval; arrays where many were asked for at once."""

    mean: Floats
    low: Floats
    high: Floats


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    r"""Student's interval of a mean.

    $$\bar x \pm t_{1-\alpha/2,\,S-1}\, s / \sqrt S, \qquad \alpha = 1 - \text{confidence}$$

    Args:
        values: $x$, one a seed along the last axis; S ≥ 2.
        confidence: In (0, 1): how often intervals made so hold the true mean.

    Shape:
        `(…, S)` → each `(…)`.

    Raises:
        ValueError: Fewer than two values: one tells nothing of the spread.

    Example:
        >>> interval = t_interval([1.0, 2.0, 3.0])
        >>> print(f"{interval.mean:.2f} in [{interval.low:.2f}, {interval.high:.2f}]")
        2.00 in [-0.48, 4.48]

    Reference:
        Student, "The probable error of a mean", 1908.
    """
    x = _at_least_two(values)
    seeds = x.shape[-1]
    half = stats.t.ppf(0.5 + confidence / 2, seeds - 1) * x.std(axis=-1, ddof=1) / np.sqrt(seeds)
    mean = x.mean(axis=-1)
    return Interval(mean, mean - half, mean + half)


def bootstrap_t_interval(values: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    r"""Studentised bootstrap interval of a mean; for skewed values, where Student's is off centre.

    $$[\bar x - q_{1-\alpha/2}\, s/\sqrt S,\ \bar x - q_{\alpha/2}\, s/\sqrt S], \qquad
    q_p \text{ the quantiles of } t^* = (\bar x^* - \bar x) / (s^* / \sqrt S)$$

    The percentile bootstrap, which lacks the division by $s^*$, holds the mean of 8 normal values in only 89 % of
    cases instead of 95.

    Args:
        values: $x$, one a seed; S ≥ 4: fewer hardly have resamples that differ.
        confidence: In (0, 1).
        resamples: How many samples $x^*$ are drawn, ≥ 200.
        seed: Of the drawing.

    Shape:
        `(S,)` → each `()`.

    Raises:
        ValueError: Fewer than four values.

    Example:
        >>> interval = bootstrap_t_interval([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])
        >>> bool(interval.low < 2.0 and interval.high > 7.5)
        True

    Reference:
        B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 12.5.
    """
    x = _at_least_two(values)
    if x.ndim != 1 or len(x) < 4:
        raise ValueError(f"a bootstrap needs at least 4 values in one row, got shape {x.shape}; take t_interval.")
    seeds = len(x)
    drawn = x[np.random.default_rng(seed).integers(seeds, size=(resamples, seeds))]
    error = drawn.std(axis=1, ddof=1) / np.sqrt(seeds)
    varied = error > 0  # a resample of one value, repeated, has no t
    mean, scale = x.mean(), x.std(ddof=1) / np.sqrt(seeds)
    if not varied.any():
        return Interval(mean, mean, mean)
    t = (drawn.mean(axis=1)[varied] - mean) / error[varied]
    low, high = np.quantile(t, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(mean, mean - high * scale, mean - low * scale)


def _at_least_two(values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim == 0 or x.shape[-1] < 2:
        raise ValueError(f"an interval needs at least 2 values, got {x.shape[-1] if x.ndim else 1}: run more seeds.")
    return x
