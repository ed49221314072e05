"""Mean ranks and performance profiles over several studies, with intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from descent.studies.statistics.intervals import Floats
from descent.studies.summary.read import StudyScores, cost_of
from foundation.errors import UserError

RESAMPLINGS = 2000
FEWEST_STUDIES = 5
"""With fewer studies, these are not resampled: nothing can be said of others."""


class Ranks(NamedTuple):
    """Mean rank of each candidate: 1 is the best."""

    mean: Floats
    low: Floats
    high: Floats
    """Ends of the 95 % interval."""
    over_studies: bool
    """Whether the interval is about further studies like these, or only about further rounds of the same ones."""


def costs_of(studies: Sequence[StudyScores]) -> Floats:
    """Return the costs, of shape (studies, candidates).

    Raises:
        UserError: In a study every candidate failed.
    """
    costs = np.stack([study.costs for study in studies])
    for study, row in zip(studies, costs, strict=True):
        if np.isinf(row).all():
            raise UserError(f"in {study.name} every candidate failed, so that none is the best: leave it out.")
    return costs


def mean_ranks(studies: Sequence[StudyScores], seed: int = 0) -> Ranks:
    r"""Compute each candidate's mean rank over the studies, with the percentile interval of a bootstrap.

    Each resampling draws the rounds of every study anew, the same for all candidates, and with at least five studies
    also the studies themselves.

    Args:
        studies: The studies, with the same candidates.
        seed: Seed of the resampling.

    Reference:
        J. Demšar, "Statistical comparisons of classifiers over multiple data sets", 2006.
    """
    rng = np.random.default_rng(seed)
    over_studies = len(studies) >= FEWEST_STUDIES
    drawn = np.stack([_resampled_ranks(study, rng) for study in studies])
    if over_studies:
        chosen = rng.integers(len(studies), size=(len(studies), RESAMPLINGS))
        drawn = drawn[chosen, np.arange(RESAMPLINGS)]
    low, high = np.quantile(drawn.mean(axis=0), [0.025, 0.975], axis=0)
    return Ranks(ranks_of(costs_of(studies)).mean(axis=0), low, high, over_studies)


def _resampled_ranks(study: StudyScores, rng: np.random.Generator) -> Floats:
    """Return ranks of shape (resamplings, candidates)."""
    rounds = study.scores.shape[1]
    chosen = rng.integers(rounds, size=(RESAMPLINGS, rounds))
    return ranks_of(cost_of(study, study.scores[:, chosen].swapaxes(0, 1)))


def ranks_of(costs: Floats) -> Floats:
    """Rank along the last axis: 1 is the smallest cost, equal ones share their mean rank."""
    return np.asarray(stats.rankdata(costs, axis=-1))


def ratios_of(costs: Floats) -> Floats:
    """Divide each study's costs by its smallest one; where that is 0, other costs have an infinite ratio.

    Example:
        >>> ratios_of(np.array([[0.1, 0.2], [0.0, 0.1]])).tolist()
        [[1.0, 2.0], [1.0, inf]]
    """
    best = costs.min(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(costs == best, 1.0, costs / best)


def profile(ratios: Floats, at: Floats) -> Floats:
    r"""Compute performance profiles: the share of studies in which a candidate costs at most τ times the best.

    $$\rho_c(\tau) = \frac{1}{P} \left| \{p : r_{pc} \le \tau\} \right|$$

    Args:
        ratios: r, shape (studies, candidates).
        at: τ ≥ 1, shape (points,).

    Shape:
        (candidates, points).

    Reference:
        E. D. Dolan, J. J. Moré, "Benchmarking optimization software with performance profiles", 2002.

    Example:
        >>> profile(np.array([[1.0, 2.0], [1.5, 1.0]]), np.array([1.0, 1.5, 2.0])).tolist()
        [[0.5, 1.0, 1.0], [0.5, 0.5, 1.0]]
    """
    return np.asarray((ratios[:, :, None] <= at * (1 + 1e-12)).mean(axis=0))
