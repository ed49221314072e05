"""Confidence intervals of a mean over a few seeds: Student's t and the bootstrap-t."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
DEGENERATE = 0.02
"""Four different values repeat one of them in 1.6 % of the resamples."""


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval: numbers, or arrays with one entry per row of values."""

    mean: Floats
    low: Floats
    high: Floats


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    r"""Compute Student's t interval of a mean.

    $$\bar x \pm t_{1-\alpha/2,\,S-1}\, s / \sqrt S, \qquad \alpha = 1 - \text{confidence}$$

    Args:
        values: $x$: one value per seed along the last axis; S ≥ 2.
        confidence: In (0, 1): the share of such intervals that contain the true mean.

    Shape:
        `(…, S)` → each `(…)`.

    Raises:
        ValueError: There are fewer than two values, so that the spread cannot be estimated.

    Example:
        >>> interval = t_interval([1.0, 2.0, 3.0])
        >>> print(f"{interval.mean:.2f} in [{interval.low:.2f}, {interval.high:.2f}]")
        2.00 in [-0.48, 4.48]

    Reference:
        Student, "The probable error of a mean", 1908.
    """
    x = _at_least_two(values)
    mean, half = x.mean(axis=-1), stats.t.ppf(0.5 + confidence / 2, x.shape[-1] - 1) * stats.sem(x, axis=-1)
    return Interval(mean, mean - half, mean + half)


def bootstrap_t_interval(values: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    r"""Compute the bootstrap-t interval of a mean, for skewed values, which Student's symmetric interval does not suit.

    $$[\bar x - q_{1-\alpha/2}\, s/\sqrt S,\ \bar x - q_{\alpha/2}\, s/\sqrt S], \qquad
    q_p \text{ the quantiles of } t^* = (\bar x^* - \bar x) / (s^* / \sqrt S)$$

    The percentile bootstrap does not divide by $s^*$; its 95 % interval contains the mean of 8 normal values in only
    89 % of the cases. (`scipy.stats.bootstrap` has no bootstrap-t.) $t^*$ is not defined for a resample that repeats
    one value. Where that is more than a share `DEGENERATE` of the resamples, since equal values are frequent, the
    quantiles of the others would be wrong, and Student's interval is returned.

    Args:
        values: $x$: one value per seed; S ≥ 4, since resamples of fewer values hardly differ.
        confidence: In (0, 1).
        resamples: Number of resamples $x^*$, ≥ 200.
        seed: Seed of the resampling.

    Shape:
        `(S,)` → each `()`.

    Raises:
        ValueError: There are fewer than four values.

    Example:
        >>> interval = bootstrap_t_interval([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])
        >>> bool(interval.low < 2.0 and interval.high > 7.5)
        True

    Reference:
        B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 12.5.
    """
    x = _at_least_two(values)
    if x.ndim != 1 or len(x) < 4:
        raise ValueError(f"the bootstrap needs at least 4 values in one row, got shape {x.shape}; use t_interval.")
    drawn = x[np.random.default_rng(seed).integers(len(x), size=(resamples, len(x)))]
    error = stats.sem(drawn, axis=1)
    varied = error > 1e-9 * np.abs(x).max()  # equal values have an error of 1e-17 rather than 0
    mean, scale = x.mean(), stats.sem(x)
    if varied.mean() < 1 - DEGENERATE:
        return t_interval(x, confidence)
    t = (drawn.mean(axis=1)[varied] - mean) / error[varied]
    low, high = np.quantile(t, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(mean, mean - high * scale, mean - low * scale)


def _at_least_two(values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim == 0 or x.shape[-1] < 2:
        raise ValueError(f"an interval needs at least 2 values, got {x.shape[-1] if x.ndim else 1}: run more seeds.")
    return x
