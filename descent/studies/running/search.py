"""The tuning trials' points: quasi-random around each candidate's default, beyond the range if its edge is best."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import qmc

Point = dict[str, float]

STEP_OUT = 0.25
"""How far beyond the edge a widening trial goes, as a share of the width of the range on the log axis."""


def trial_point(
    index: int,
    trials: int,
    defaults: Point,
    factors: Mapping[str, float],
    past: Sequence[tuple[Point, float | None]],
    larger_is_better: bool,
    tuning: int = 0,
) -> Point:
    r"""Choose the values of tuning trial `index` of a candidate: a pure function of the trials before it.

    Trial 0 is the candidate's own default. The following trials take the points $u$ of a Halton sequence, the same for
    all candidates, as $\text{default} \cdot f^{2u - 1}$. About the last third of the trials can widen the range: if the
    best value so far is at the edge of the values that were tried, the trial goes a step beyond the edge; otherwise the
    sequence continues. Every candidate has the same number of trials either way.

    Args:
        index: Number of the trial, 0 … trials − 1.
        trials: Number of trials of each candidate.
        defaults: The default of each tuned key, > 0.
        factors: The factor $f$ > 1 of each tuned key.
        past: Points and scores of trials 0 … index − 1; the score is `None` if the trial diverged or crashed.
        larger_is_better: Whether the largest score is the best, or the smallest.
        tuning: Number of the tuning: each one after the first shifts the sequence by random numbers of its own, so that
            tunings are independent of each other.

    Example:
        >>> defaults, factors = {"lr": 0.1}, {"lr": 10.0}
        >>> [round(trial_point(i, 5, defaults, factors, [], True)["lr"], 4) for i in range(3)]
        [0.1, 0.0316, 0.3162]
        >>> past = [({"lr": 0.1}, 0.9), ({"lr": 0.0316}, 0.8), ({"lr": 0.3162}, 0.95)]
        >>> round(trial_point(3, 5, defaults, factors, past, True)["lr"], 2)
        1.0
    """
    if index == 0 or not factors:
        return dict(defaults)
    if index >= first_widening(trials):
        edges = best_at_edge(past, larger_is_better)
        if edges:
            best = best_point(past, larger_is_better)
            assert best is not None
            return {key: value * factors[key] ** (2 * STEP_OUT * edges.get(key, 0)) for key, value in best.items()}
    unit = qmc.Halton(d=len(factors), scramble=False).random(index + 2)[
        index + 1
    ]  # point 0 is a corner, point 1 the middle
    if tuning:
        unit = (unit + np.random.default_rng([tuning, 719]).random(len(factors))) % 1.0
    return {key: defaults[key] * factors[key] ** (2 * float(u) - 1) for (key, u) in zip(factors, unit, strict=True)}


def first_widening(trials: int) -> int:
    """Return the index of the first trial that may widen the range; about the last third of the trials may."""
    return trials - (trials + 1) // 3


def best_point(past: Sequence[tuple[Point, float | None]], larger_is_better: bool) -> Point | None:
    """Return the point with the best score, the earliest of equal ones; `None` if there is no score."""
    scored = [(score, point) for point, score in past if score is not None]
    if not scored:
        return None
    pick = max if larger_is_better else min
    return pick(scored, key=lambda entry: entry[0])[1]


def best_at_edge(past: Sequence[tuple[Point, float | None]], larger_is_better: bool) -> dict[str, int]:
    """Find the keys whose best value is the smallest (−1) or largest (+1) of all values tried, failed trials included.

    Example:
        >>> best_at_edge([({"lr": 0.1}, 0.9), ({"lr": 1.0}, None)], larger_is_better=True)
        {'lr': -1}
    """
    best = best_point(past, larger_is_better)
    if best is None or len(past) < 2:
        return {}
    edges = {}
    for key, value in best.items():
        tried = [point[key] for point, _ in past]
        if value <= min(tried) * (1 + 1e-9):
            edges[key] = -1
        elif value >= max(tried) * (1 - 1e-9):
            edges[key] = 1
    return edges
