"""Which candidate is better, which are practically equal, who goes on: decided after each round, for many studies."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from descent.studies.statistics.group_sequential import LEAST, looks, nominal_levels
from descent.studies.statistics.intervals import Floats

UNDECIDED, BETTER, WORSE, EQUAL = 0, 1, -1, 2
COLLAPSE = 8.0
"""A run has collapsed if it lies this many robust standard deviations below its candidate's median."""

Bools = NDArray[np.bool_]


class Decisions(NamedTuple):
    """The decisions of a study of C candidates; the fields of pairs have the shape `(…, C·(C − 1)/2)`."""

    pairs: list[tuple[int, int]]
    """(i, j) with i < j; entry k of the other fields belongs to pair k."""
    decision: NDArray[np.int_]
    """`BETTER`: i is better than j; `WORSE`; `EQUAL`: practically; or `UNDECIDED`."""
    mean: Floats
    """Mean of the differences i − j, oriented so that a positive one is better."""
    low: Floats
    high: Floats
    """Ends of the repeated confidence interval: all pairs and looks together hold with probability 1 − α."""
    without_failed: Bools
    """Whether rounds in which a run of the pair diverged or collapsed were left out of its differences."""
    rounds: NDArray[np.int_]
    """Rounds that the pair has in common, diverged runs included."""
    active: Bools
    """Shape `(…, C)`: whether a candidate needs further rounds."""
    used: NDArray[np.int_]
    """Shape `(…, C)`: rounds after which a candidate stopped, or all."""
    level: float
    """Two-sided level of the last look, for one pair."""


def decide(
    scores: ArrayLike,
    most: int,
    delta: float,
    alpha: float = 0.05,
    step: float = 0.0,
    stop: bool = False,
    image_errors: ArrayLike = 0.0,
    runs: ArrayLike | None = None,
) -> Decisions:
    r"""Replay a study look by look, and decide its pairs.

    At each look, a pair's differences per round give Student's interval $\bar d \pm t_{n-1}\, \max(s, r) / \sqrt n$ at
    the look's level (`nominal_levels` of α divided by the number of pairs). One above or below 0 decides *better* or
    *worse*, one within ±δ *practically equal* (which comes first). Since all intervals hold together with probability
    1 − α, so do the decisions, and the intersection of a pair's intervals so far is one too.

    A mean with a run that diverged or collapsed says little of a typical run. So the rounds with one are left out of
    the pair's differences, and the interval is that of the runs that succeed. Then i is better only if it was also
    better in most rounds, those with failed runs included, and no pair is practically equal: its risks may differ.

    A candidate stops when its pairs are decided; pairs of two candidates that are both worse than another do not count.

    Args:
        scores: One row per candidate, one column per round, larger is better; −∞ is a diverged run; NaN a missing one,
            or a round after the candidate stopped.
        most: The largest number of rounds, ≥ the number of columns.
        delta: δ ≥ 0, the largest difference that does not matter.
        alpha: Error over all pairs and looks.
        step: r ≥ 0, the resolution of the metric.
        stop: Ignore the scores of rounds after a candidate stopped, as in a simulation of whole studies.
        image_errors: $s_b$ ≥ 0 for each pair, `(…, C·(C − 1)/2)`, the standard error of the choice of the test images
            (`new_images.image_error`), which more rounds do not reduce. With it the intervals are about new images:
            $\sqrt{h^2 + (z\, s_b)^2}$ takes the place of half a width $h$, z the normal quantile of the look's level.
        runs: The runs of which `scores` are the means, to find those that collapsed; by default `scores`.

    Shape:
        scores `(…, C, N)`, runs `(…, C, N, repeats)`; leading axes are studies.

    Raises:
        ValueError: There are fewer than two candidates.

    Reference:
        C. Jennison, B. W. Turnbull, "Repeated confidence intervals for group sequential clinical trials", 1984;
        T. Mathieu et al., "AdaStop: adaptive statistical testing for sound comparisons of Deep RL agents", 2023;
        D. Lakens, "Equivalence tests", 2017;
        G. Y. Zou, A. Donner, "Construction of confidence limits about effect measures: a general approach", 2008.
    """
    x = np.asarray(scores, dtype=np.float64)
    if x.ndim < 2 or x.shape[-2] < 2:
        raise ValueError(f"a comparison needs at least 2 candidates, got scores of shape {x.shape}.")
    single = x[..., None] if runs is None else np.asarray(runs, dtype=np.float64)
    errors = np.asarray(image_errors, dtype=np.float64)
    pairs = list(combinations(range(x.shape[-2]), 2))
    at = looks_of(x.shape[-1], most)
    levels = nominal_levels(tuple(at), most, alpha / len(pairs))
    state = _start(x.shape[:-2], pairs, x.shape[-2])
    for rounds, level in zip(at, levels, strict=True):
        if stop:
            unused = ~state.active[..., None] & (np.arange(x.shape[-1]) >= state.used[..., None])
            x, single = np.where(unused, np.nan, x), np.where(unused[..., None], np.nan, single)
        state = _look(x[..., :rounds], failed_rounds(single[..., :rounds, :]), state, level, delta, step, errors)
    return state


def looks_of(rounds: int, most: int) -> list[int]:
    """List the looks of a study that has finished a number of rounds: those that were planned, and its last round."""
    found = [n for n in looks(most) if n < rounds]
    return [*found, rounds] if rounds >= LEAST else []


def _start(studies: tuple[int, ...], pairs: list[tuple[int, int]], candidates: int) -> Decisions:
    shape = (*studies, len(pairs))
    return Decisions(
        pairs,
        np.zeros(shape, dtype=np.int_),
        np.full(shape, np.nan),
        np.full(shape, -np.inf),
        np.full(shape, np.inf),
        np.zeros(shape, dtype=np.bool_),
        np.zeros(shape, dtype=np.int_),
        np.ones((*studies, candidates), dtype=np.bool_),
        np.zeros((*studies, candidates), dtype=np.int_),
        0.0,
    )


def _look(
    x: Floats, failed: Bools, state: Decisions, level: float, delta: float, step: float, image_errors: Floats
) -> Decisions:
    first, second = (list(side) for side in zip(*state.pairs, strict=True))
    clean, ordered = np.where(failed, np.nan, x), np.where(failed, -np.inf, x)
    count, mean, half = _interval(clean[..., first, :], clean[..., second, :], level, step)
    half = np.hypot(half, stats.norm.isf(level / 2) * image_errors)
    wins, shared = _compared(ordered[..., first, :], ordered[..., second, :])
    new = shared > state.rounds  # nothing new is known of a pair of which one has stopped
    any_failed = np.asarray(failed.any(axis=-1))
    without_failed = np.where(new, any_failed[..., first] | any_failed[..., second], state.without_failed)
    low, high = np.fmax(state.low, mean - half), np.fmin(state.high, mean + half)
    good = new & (count >= LEAST) & (low <= high)  # intervals of two looks that contradict each other: keep the first
    mean, low, high = (
        np.where(good, now, old) for now, old in ((mean, state.mean), (low, state.low), (high, state.high))
    )
    equal = ((low > -delta) & (high < delta)) | ((low == 0) & (high == 0))
    better, worse = (low > 0) & (~without_failed | (wins > 0)), (high < 0) & (~without_failed | (wins < 0))
    found = np.select([equal & ~without_failed, equal, better, worse], [EQUAL, UNDECIDED, BETTER, WORSE], UNDECIDED)
    decision = np.where((state.decision == UNDECIDED) & new, found, state.decision)
    return Decisions(
        state.pairs,
        decision,
        mean,
        low,
        high,
        without_failed,
        np.maximum(shared, state.rounds),
        _active(decision, state),
        np.where(state.active, x.shape[-1], state.used),
        level,
    )


def _interval(x: Floats, y: Floats, level: float, step: float) -> tuple[Any, Floats, Floats]:
    with np.errstate(invalid="ignore", divide="ignore"):
        d = x - y
        d = np.where(np.isfinite(d), d, np.nan)
        known = ~np.isnan(d)
        count = known.sum(axis=-1)
        mean = np.where(known, d, 0.0).sum(axis=-1) / count
        squares = np.where(known, (d - mean[..., None]) ** 2, 0.0).sum(axis=-1)
        spread = np.maximum(np.sqrt(squares / (count - 1)), step)
        half = stats.t.ppf(1 - level / 2, np.maximum(count - 1, 1)) * spread / np.sqrt(count)
    return count, mean, half


def _compared(x: Floats, y: Floats) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return by how many rounds more the first is better than worse, and the rounds that both have."""
    return (x > y).sum(axis=-1) - (x < y).sum(axis=-1), (~(np.isnan(x) | np.isnan(y))).sum(axis=-1)


def failed_rounds(runs: Floats) -> Bools:
    """Find the rounds in which a run diverged or collapsed.

    Shape:
        `(…, C, N, repeats)` → `(…, C, N)`.
    """
    return np.asarray((np.isneginf(runs) | collapsed_runs(runs)).any(axis=-1))


def collapsed_runs(runs: Floats) -> Bools:
    """Find the runs that collapsed among all runs of their candidate; `(…, C, N, repeats)`, as the result."""
    return collapsed(runs.reshape(*runs.shape[:-2], -1)).reshape(runs.shape)


def collapsed(scores: Floats) -> Bools:
    """Find runs far below their candidate's median: `COLLAPSE` times the typical spread of the study's candidates.

    The spread is the median over the candidates of 1.48 times the median absolute deviation, which for normal noise is
    the standard deviation.

    Shape:
        `(…, C, N)` → `(…, C, N)`.
    """
    x = np.where(np.isneginf(scores), np.nan, scores)
    with np.errstate(invalid="ignore"), _no_warnings():
        centre = np.nanmedian(x, axis=-1, keepdims=True)
        spread = 1.4826 * np.nanmedian(np.abs(x - centre), axis=-1, keepdims=True)
        typical = np.nanmedian(spread, axis=-2, keepdims=True)
        return np.asarray((typical > 0) & (x < centre - COLLAPSE * typical))


def _no_warnings() -> Any:
    import warnings

    return warnings.catch_warnings(action="ignore", category=RuntimeWarning)  # numpy's, of candidates without a score


def _active(decision: NDArray[np.int_], state: Decisions) -> Bools:
    beaten = np.zeros_like(state.active)
    for k, (i, j) in enumerate(state.pairs):
        beaten[..., i] |= decision[..., k] == WORSE
        beaten[..., j] |= decision[..., k] == BETTER
    active = np.zeros_like(state.active)
    for k, (i, j) in enumerate(state.pairs):
        open_ = (decision[..., k] == UNDECIDED) & ~(beaten[..., i] & beaten[..., j])
        open_ &= state.active[..., i] & state.active[..., j]
        active[..., i] |= open_
        active[..., j] |= open_
    return active
