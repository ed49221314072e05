"""Suggest learning rates from the losses of a range test, or say why that is not possible."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from foundation.errors import UserError

Floats = NDArray[np.float64]
Method = Literal["short_runs", "nine_tenths", "steepest", "valley", "minimum_tenth"]

DIVERGENCE_FACTOR = 4.0  # times the smallest smoothed loss
MIN_POINTS = 10
MIN_FALL = 5.0  # standard deviations; the lowest of a hundred points lies 2.5 below their mean by chance


@dataclass(frozen=True)
class Suggestions:
    """Learning rates read from the curve of a range test.

    Args:
        nine_tenths: Where the loss has fallen by nine tenths: the highest rate at which it still falls well.
        steepest: Where the loss falls fastest over log rate; too high on some hard tasks.
        valley: Middle of the longest fall, without its first and last tenth; least affected by noise.
        minimum_tenth: A tenth of the rate with the smallest loss; conservative.
        cyclic: Where the loss has fallen by one tenth and by nine tenths: lower and upper rate of a cyclic schedule.
    """

    nine_tenths: float
    steepest: float
    valley: float
    minimum_tenth: float
    cyclic: tuple[float, float]


def spaced_rates(low: float, high: float, steps: int, mode: Literal["exponential", "linear"]) -> Floats:
    """Return `steps` rates from `low` to `high`, with equal ratios (exponential) or differences (linear).

    Example:
        >>> spaced_rates(1e-3, 1.0, 4, "exponential").round(6).tolist()
        [0.001, 0.01, 0.1, 1.0]
    """
    spaced = np.geomspace if mode == "exponential" else np.linspace
    return np.asarray(spaced(low, high, steps), dtype=float)


def running_mean(losses: Floats, beta: float) -> Floats:
    r"""Exponential mean with bias correction, $m_i / (1 - \beta^{i+1})$, $m_i = \beta m_{i-1} + (1-\beta) l_i$.

    The first value is the first loss itself; Lightning's correction is off by one and halves it.

    Args:
        losses: $l$, `(n,)`.
        beta: In [0, 1); 0 does not smooth.

    Example:
        >>> running_mean(np.array([2.0, 2.0, 2.0]), 0.9).round(9).tolist()
        [2.0, 2.0, 2.0]
    """
    mean, means = 0.0, []
    for index, loss in enumerate(losses):
        mean = beta * mean + (1 - beta) * float(loss)
        means.append(mean / (1 - beta ** (index + 1)))
    return np.asarray(means)


def smooth(losses: Floats, beta: float) -> Floats:
    r"""Smooth with weights $\beta^{|i-j|}$ on both sides; a one-sided mean lags, which would shift the rates up."""
    weights = (1 - beta ** np.arange(1, len(losses) + 1)) / (1 - beta)  # of the losses up to i
    left = running_mean(losses, beta) * weights
    right = (running_mean(losses[::-1], beta) * weights)[::-1]
    return np.asarray((left + right - losses) / (weights + weights[::-1] - 1))


def divergence(losses: Floats, beta: float = 0.5) -> int:
    """Return the index of the first loss that is not finite or 4 times the smallest; without one the length."""
    finite = np.isfinite(losses)
    end = int(np.argmin(finite)) if not finite.all() else len(losses)
    means = running_mean(losses[:end], beta)
    if end == 0:
        return 0
    # A critic's losses may be negative, so the bound is a distance from the smallest, in units of the first.
    unit = max(abs(float(means[0])), 1e-12)
    beyond = means > np.minimum.accumulate(means) + (DIVERGENCE_FACTOR - 1) * unit
    return int(np.argmax(beyond)) if beyond.any() else end


def suggest(rates: Floats, curve: Floats, noise: float = 0.0, diverged: bool = False) -> Suggestions:
    """Suggest learning rates from a smooth curve.

    Args:
        rates: Ascending, > 0, `(n,)`.
        curve: Smoothed loss at each rate before the divergence, `(m,)`, m ≤ n.
        noise: Standard deviation of the curve's points; a fall must be at least 5 times as large.
        diverged: Whether the test ended because the loss diverged.

    Raises:
        UserError: Too few points, no fall, or still falling at the highest rate.
    """
    if len(curve) < MIN_POINTS:
        raise UserError(
            f"The loss diverged after {len(curve)} steps, at a rate of {rates[: len(curve) + 1][-1]:.3g}; "
            f"{MIN_POINTS} are needed: start at a lower rate (low), or look at the data and the loss."
        )
    lowest = int(np.argmin(curve))
    start = float(curve[: max(len(curve) // 10, 3)].mean())  # the loss before it falls
    fall = start - float(curve[lowest])
    if lowest == 0 or fall < max(MIN_FALL * noise, 0.01 * abs(start)):
        raise UserError(
            f"The loss does not fall between {rates[0]:.3g} and {rates[-1]:.3g} (from {start:.4g} to at least "
            f"{curve[lowest]:.4g}, noise {noise:.2g}): widen the range (low, high), take more steps, larger batches or "
            "more repeats, and check that the module trains at all."
        )
    if lowest >= len(curve) - 2 and not diverged:
        raise UserError(
            f"The loss still falls at the highest rate, {rates[-1]:.3g}: raise high, so that the curve's minimum can "
            "be seen. Under an optimizer that bounds its own steps, as Adafactor does, it need not rise at any rate: "
            "there short runs find one (the default method)."
        )
    x = np.log10(rates[: len(curve)])
    slope = np.gradient(curve, x)[: lowest + 1]
    fallen = (start - curve[: lowest + 1]) / fall
    first, last = int(np.argmax(fallen >= 0.1)), int(np.argmax(fallen >= 0.9))  # without the flat parts
    steepest, valley = float(rates[np.argmin(slope)]), float(rates[first + _valley(curve[first : last + 1])])
    lower, upper = float(rates[first]), float(rates[last])
    return Suggestions(upper, steepest, valley, float(rates[lowest]) / 10, (lower, upper))


def _valley(curve: Floats) -> int:
    """Return the middle of the longest falling subsequence, as fastai does."""
    length = np.ones(len(curve), dtype=int)
    before = np.full(len(curve), -1)
    for i in range(1, len(curve)):
        candidates = np.where(curve[:i] > curve[i], length[:i], 0)
        best = int(np.argmax(candidates))
        if candidates[best] > 0:
            length[i], before[i] = candidates[best] + 1, best
    end = start = int(np.argmax(length))
    while before[start] >= 0:
        start = int(before[start])
    return (start + end) // 2
