"""Differences between candidates over the same seeds."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from descent.studies.statistics.intervals import Floats, Interval, t_interval


def holm(p_values: ArrayLike) -> Floats:
    r"""Holm's step-down correction: calling those below 0.05 different errs in at most 5 % of *studies*.

    $$\tilde p_{(i)} = \max_{j \le i} \min\{1, (m - j + 1)\, p_{(j)}\}, \qquad p_{(1)} \le \dots \le p_{(m)}$$

    Args:
        p_values: m of them along the last axis.

    Shape:
        `(…, m)` → `(…, m)`, in the order given.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]

    Reference:
        S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, axis=-1, kind="stable")
    factors = p.shape[-1] - np.arange(p.shape[-1])
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, axis=-1) * factors, axis=-1).clip(max=1.0)
    corrected = np.empty_like(stepped)
    np.put_along_axis(corrected, order, stepped, axis=-1)
    return corrected


class Difference(NamedTuple):
    """A mean difference with its interval and p-value; arrays where many were asked for at once."""

    interval: Interval
    p_value: Floats


def paired_difference(values: ArrayLike, others: ArrayLike, confidence: float = 0.95) -> Difference:
    r"""Student's paired test: $d = x - y$ seed by seed, $T = \bar d \sqrt S / s_d$, two-sided.

    Pairs share initial weights and batches; what a seed does to both cancels.

    Args:
        values: $x$, one a seed along the last axis; S ≥ 2.
        others: $y$, of the same seeds.
        confidence: Of the interval, in (0, 1).

    Shape:
        `(…, S)`, `(…, S)` → each `(…)`.

    Example:
        >>> difference = paired_difference([2.0, 3.1, 4.0, 5.2], [1.0, 2.0, 3.1, 4.0])
        >>> print(f"{difference.interval.mean:.2f}, p = {difference.p_value:.4f}")
        1.05, p = 0.0005

    Reference:
        Student, "The probable error of a mean", 1908.
    """
    d = np.asarray(values, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    interval = t_interval(d, confidence)
    seeds = d.shape[-1]
    error = d.std(axis=-1, ddof=1) / np.sqrt(seeds)
    exact = error <= 1e-12 * np.abs(d).max(axis=-1, initial=0.0)  # the same difference in every seed, but for rounding
    t = np.abs(interval.mean) / np.where(exact, 1.0, error)
    p = np.where(exact, np.where(interval.mean == 0, 1.0, 0.0), 2 * stats.t.sf(t, seeds - 1))
    return Difference(interval, p)


class PairwiseTests(NamedTuple):
    """Every pair of candidates, tested as one family."""

    pairs: list[tuple[int, int]]
    """(i, j) with i < j; entry k of the others belongs to pair k."""

    difference: Difference
    """Candidate i less candidate j; p-values before correction."""

    corrected: Floats
    """p-values after Holm's correction over all pairs."""


def all_pairs(scores: ArrayLike, confidence: float = 0.95) -> PairwiseTests:
    """Test every pair of C candidates, corrected over all pairs, so that any order may be read from the result.

    Args:
        scores: One row a candidate, one column a seed; C ≥ 2, S ≥ 2.
        confidence: Of each interval, uncorrected.

    Shape:
        `(…, C, S)` → p-values `(…, C·(C − 1)/2)`.

    Raises:
        ValueError: Fewer than two candidates or seeds.
    """
    x = np.asarray(scores, dtype=np.float64)
    if x.ndim < 2 or x.shape[-2] < 2:
        raise ValueError(f"a comparison needs at least 2 candidates, got scores of shape {x.shape}.")
    pairs = list(combinations(range(x.shape[-2]), 2))
    first, second = (x[..., list(side), :] for side in zip(*pairs, strict=True))
    difference = paired_difference(first, second, confidence)
    return PairwiseTests(pairs, difference, holm(difference.p_value))


def tie_groups(means: Sequence[float], tests: PairwiseTests, larger_is_better: bool, alpha: float = 0.05) -> list[str]:
    """Letters of the groups of ties of each candidate: two that share a letter are not told apart.

    Groups are runs of neighbours in the order of the means, as long as nobody in them differs from anybody else. One
    candidate may stand in several groups: with A ~ B and B ~ C but A > C, B is in both.

    Args:
        means: One a candidate.
        tests: Of the same candidates, one study.
        larger_is_better: Whether group `a` is that of the largest mean.
        alpha: Corrected p-values below are differences.

    Returns:
        For each candidate letters such as `"a"` or `"ab"`; `a` is the best group.

    Example:
        >>> from descent.studies.statistics.paired_tests import all_pairs
        >>> scores = [[9.0, 9.2, 9.1, 9.3], [9.1, 9.1, 9.2, 9.2], [5.0, 5.2, 5.0, 5.1]]
        >>> tie_groups([9.15, 9.15, 5.08], all_pairs(scores), larger_is_better=True)
        ['a', 'a', 'b']
    """
    different = {frozenset(pair) for pair, p in zip(tests.pairs, tests.corrected.tolist(), strict=True) if p < alpha}
    order = sorted(range(len(means)), key=lambda i: means[i], reverse=larger_is_better)
    groups: list[list[int]] = []
    for start in range(len(order)):
        group: list[int] = []
        for candidate in order[start:]:
            if any(frozenset((candidate, member)) in different for member in group):
                break
            group.append(candidate)
        if not any(set(group) <= set(other) for other in groups):
            groups.append(group)
    letters = ["" for _ in means]
    for index, group in enumerate(groups):
        for candidate in group:
            letters[candidate] += chr(ord("a") + index)
    return letters
