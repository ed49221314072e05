"""How other tools decide on the same scores: AdaStop's own code, a race as in irace, Optuna's best value.

Every function takes scores of shape (studies, candidates, rounds), larger is better.
"""

import importlib.util
from collections.abc import Callable
from itertools import combinations
from typing import Any, Literal

import numpy as np
from scipy import stats

from benchmarks.studies.methods import Found, Signs
from benchmarks.studies.surface import Floats

FIRST_TEST = 5
"""Instances before irace's first test; then it tests after each."""
PERMUTATIONS, BLOCK = 1000, 4
"""Random permutations of AdaStop, and its runs between two looks: with 3 looks up to 12 rounds, after 4, 8 and 12."""

Losers = Callable[[Floats, float], list[int]]
"""Finds rows of an array (candidates, rounds) that are significantly worse than the best one."""


def race(scores: Floats, most: int, kind: Literal["friedman", "t"], alpha: float = 0.05) -> Found:
    """Race as irace does: after 5 rounds, and after each further one, drop what is significantly worse than the best.

    `friedman` is irace's default: Friedman's test of all candidates that are left, then Conover's comparison with the
    best; of two candidates Wilcoxon's signed ranks. `t` is its alternative: paired t-tests with the best. Neither has a
    correction for the number of looks.

    Reference:
        M. López-Ibáñez et al., "The irace package: iterated racing for automatic algorithm configuration", 2016.
    """
    losers = friedman_losers if kind == "friedman" else t_losers
    found = [_race(study[:, :most], losers, alpha) for study in scores]
    return Found(np.array([sign for sign, _ in found]), float(np.mean([used for _, used in found])), float("nan"))


def _race(scores: Floats, losers: Losers, alpha: float) -> tuple[list[int], float]:
    alive = list(range(len(scores)))
    used = np.full(len(scores), scores.shape[1])
    for rounds in range(FIRST_TEST, scores.shape[1] + 1):
        lost = [alive[row] for row in losers(scores[alive, :rounds], alpha)]
        used[lost] = rounds
        alive = [name for name in alive if name not in lost]
        if len(alive) == 1:
            used[alive] = rounds
            break
    return [int(i in alive) - int(j in alive) for i, j in combinations(range(len(scores)), 2)], float(used.mean())


def friedman_losers(x: Floats, alpha: float) -> list[int]:
    """Find the rows that Conover's comparison after Friedman's test calls worse than the row with the best ranks."""
    candidates, rounds = x.shape
    if candidates == 2:
        test = stats.wilcoxon(x[0], x[1])
        return [int(np.argmin(x.mean(axis=1)))] if test.pvalue < alpha else []
    if stats.friedmanchisquare(*x).pvalue >= alpha:
        return []
    ranks = stats.rankdata(-x, axis=0)
    sums, squares = ranks.sum(axis=1), (ranks**2).sum()
    degrees = (rounds - 1) * (candidates - 1)
    limit = stats.t.isf(alpha / 2, degrees) * np.sqrt(2 * (rounds * squares - (sums**2).sum()) / degrees)
    return [int(row) for row in np.flatnonzero(sums - sums.min() > limit)]


def t_losers(x: Floats, alpha: float) -> list[int]:
    """Find the rows that a paired t-test calls worse than the row with the best mean."""
    best = int(np.argmax(x.mean(axis=1)))
    others = [row for row in range(len(x)) if row != best]
    test = stats.ttest_rel(np.broadcast_to(x[best], (len(others), x.shape[1])), x[others], axis=1)
    return [row for row, p in zip(others, test.pvalue, strict=True) if p < alpha]


def best_value(scores: Floats, most: int) -> Found:
    """Call the candidate best that has the best single value, as a search over all candidates and values does."""
    best = scores[..., :most].max(axis=-1).argmax(axis=-1)
    pairs = list(combinations(range(scores.shape[1]), 2))
    sign: Signs = np.array([(best == i).astype(np.int_) - (best == j) for i, j in pairs]).T
    return Found(sign, float(most), float("nan"))


def adastop_installed() -> bool:
    """Tell whether AdaStop's code can be imported."""
    return importlib.util.find_spec("adastop") is not None


def adastop(scores: Floats, most: int, alpha: float = 0.05) -> Found:
    """Compare by AdaStop's own code (`pip install adastop`), which knows no pairs of equal seed.

    Reference:
        T. Mathieu et al., "AdaStop: adaptive statistical testing for sound comparisons of Deep RL agents", 2023.
    """
    comparator = importlib.import_module("adastop").MultipleAgentsComparator
    signs, used = [], []
    for seed, study in enumerate(scores):
        test = comparator(n=BLOCK, K=most // BLOCK, B=PERMUTATIONS, alpha=alpha, seed=seed)
        sign, rounds = _adastop(test, study)
        signs.append(sign)
        used.append(rounds)
    return Found(np.array(signs), float(np.mean(used)), float("nan"))


def _adastop(test: Any, study: Floats) -> tuple[list[int], float]:
    names = [str(row) for row in range(len(study))]
    used = np.zeros(len(study))
    while not test.is_finished:
        current = range(len(study)) if test.k == 0 else {int(row) for pair in test.current_comparisons for row in pair}
        used[list(current)] = (test.k + 1) * BLOCK
        values = {name: row[: (test.k + 1) * BLOCK] for name, row in zip(names, study, strict=True)}
        test.partial_compare(values, verbose=False)
    meaning = {"larger": 1, "smaller": -1}
    decided = [test.decisions[str(np.array(pair))] for pair in combinations(range(len(study)), 2)]
    return [meaning.get(decision, 0) for decision in decided], float(used.mean())
