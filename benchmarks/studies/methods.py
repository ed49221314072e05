"""The methods that are compared: that of `descent compare`, and a fixed number of seeds with Holm's correction."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.studies.surface import Floats
from descent.studies.statistics.sequential_test import BETTER, WORSE, decide

Bools = NDArray[np.bool_]
Signs = NDArray[np.int_]


class Found(NamedTuple):
    """What a method found in many studies."""

    sign: Signs
    """Shape (studies, pairs): 1 the first is better, −1 the second, 0 neither."""
    rounds: float
    """Mean rounds per candidate."""
    joint: float
    """Share of studies whose intervals all contain 0."""


def sequential(scores: Floats, most: int, delta: float = 0.0) -> Found:
    """Decide with looks after 4, 5, … rounds; a candidate that is decided stops.

    Args:
        scores: One score per round, `(studies, candidates, rounds)`, or of each run, `(…, repeats)`.
        most: Rounds.
        delta: The largest difference that does not matter.
    """
    runs = scores[:, :, :most, None] if scores.ndim == 3 else scores[:, :, :most]
    found = decide(runs.mean(axis=-1), most, delta, stop=True, runs=runs)
    sign = np.where(found.decision == BETTER, 1, np.where(found.decision == WORSE, -1, 0))
    joint = ((found.low <= 0) & (found.high >= 0)).all(axis=-1).mean()
    return Found(sign, float(found.used.mean()), float(joint))


def fixed(scores: Floats, seeds: int, alpha: float = 0.05) -> Found:
    """Test every pair with Student's paired t-test after a fixed number of seeds, with Holm's correction."""
    x = scores[..., :seeds]
    pairs = list(combinations(range(x.shape[1]), 2))
    first, second = (x[:, list(side)] for side in zip(*pairs, strict=True))
    test = stats.ttest_rel(first, second, axis=-1)
    p = np.asarray(test.pvalue)
    order = np.argsort(p, axis=-1)
    stepped = np.take_along_axis(p, order, axis=-1) * (len(pairs) - np.arange(len(pairs)))
    corrected = np.empty_like(p)
    np.put_along_axis(corrected, order, np.maximum.accumulate(stepped, axis=-1), axis=-1)
    return Found(np.where(corrected < alpha, np.sign(test.statistic), 0).astype(np.int_), float(seeds), float("nan"))


def any_found(found: Found) -> float:
    """Return the share of studies that call any difference: the family-wise error if all candidates are equal."""
    return float((found.sign != 0).any(axis=-1).mean())


def best_found(found: Found, candidates: int) -> float:
    """Return the share of the pairs with candidate 0 in which it is called better."""
    first = [k for k, pair in enumerate(combinations(range(candidates), 2)) if pair[0] == 0]
    return float((found.sign[:, first] == 1).mean())
