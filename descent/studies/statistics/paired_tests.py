"""Paired t-tests between candidates that ran with the same seeds, Holm's correction, and groups of ties."""

import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from descent.studies.statistics.intervals import Floats, Interval, t_interval


def holm(p_values: ArrayLike) -> Floats:
    r"""Apply Holm's correction: with the corrected p-values, at most 5 % of *studies* claim a false difference at 0.05.

    $$\tilde p_{(i)} = \max_{j \le i} \min\{1, (m - j + 1)\, p_{(j)}\}, \qquad p_{(1)} \le \dots \le p_{(m)}$$

    Args:
        p_values: m p-values along the last axis.

    Shape:
        `(…, m)` → `(…, m)`, in the given order.

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
    """A mean difference with its interval and p-value: numbers, or arrays with one entry per row of values."""

    interval: Interval
    p_value: Floats


def paired_difference(values: ArrayLike, others: ArrayLike, confidence: float = 0.95) -> Difference:
    r"""Test $x$ against $y$ with Student's paired t-test, two-sided: $d = x - y$ per seed, $T = \bar d \sqrt S / s_d$.

    Runs with the same seed share initial weights and batches, so the effect of the seed cancels in the difference.
    Where $d$ is the same for every seed up to rounding, $T$ is not defined; p is then 0, or 1 if $d = 0$.

    Args:
        values: $x$: one value per seed along the last axis; S ≥ 2.
        others: $y$: values of the same seeds.
        confidence: Confidence of the interval, in (0, 1).

    Shape:
        `(…, S)`, `(…, S)` → each `(…)`.

    Example:
        >>> difference = paired_difference([2.0, 3.1, 4.0, 5.2], [1.0, 2.0, 3.1, 4.0])
        >>> print(f"{difference.interval.mean:.2f}, p = {difference.p_value:.4f}")
        1.05, p = 0.0005

    Reference:
        Student, "The probable error of a mean", 1908.
    """
    x, y = np.asarray(values, dtype=np.float64), np.asarray(others, dtype=np.float64)
    d = x - y
    interval = t_interval(d, confidence)
    constant = stats.sem(d, axis=-1) <= 1e-12 * np.abs(d).max(axis=-1, initial=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's, of constant differences, which are handled here
        p = np.where(constant, interval.mean == 0, stats.ttest_rel(x, y, axis=-1).pvalue)
    return Difference(interval, p)


class PairwiseTests(NamedTuple):
    """The tests of every pair of candidates, corrected together."""

    pairs: list[tuple[int, int]]
    """(i, j) with i < j; entry k of the other fields belongs to pair k."""

    difference: Difference
    """Candidate i minus candidate j; p-values before correction."""

    corrected: Floats
    """p-values after Holm's correction over all pairs."""


def all_pairs(scores: ArrayLike, confidence: float = 0.95) -> PairwiseTests:
    """Test every pair of C candidates and correct the p-values over all pairs.

    Args:
        scores: One row per candidate, one column per seed; C ≥ 2, S ≥ 2.
        confidence: Confidence of each interval; intervals are not corrected.

    Shape:
        `(…, C, S)` → p-values `(…, C·(C − 1)/2)`.

    Raises:
        ValueError: There are fewer than two candidates or seeds.
    """
    x = np.asarray(scores, dtype=np.float64)
    if x.ndim < 2 or x.shape[-2] < 2:
        raise ValueError(f"a comparison needs at least 2 candidates, got scores of shape {x.shape}.")
    pairs = list(combinations(range(x.shape[-2]), 2))
    first, second = (x[..., list(side), :] for side in zip(*pairs, strict=True))
    difference = paired_difference(first, second, confidence)
    return PairwiseTests(pairs, difference, holm(difference.p_value))


def tie_groups(means: Sequence[float], tests: PairwiseTests, larger_is_better: bool, alpha: float = 0.05) -> list[str]:
    """Assign letters to groups of ties (a compact letter display): candidates that share a letter do not differ.

    Candidates are sorted by mean; a group is a longest run of neighbours among which no pair differs significantly.
    Groups may overlap: with A ~ B and B ~ C but A > C, B is in two groups.

    Args:
        means: Mean of each candidate.
        tests: The tests of the same candidates, of one study.
        larger_is_better: Whether group `a` holds the largest mean, or the smallest.
        alpha: Level of significance; a corrected p-value below it is a difference.

    Returns:
        Letters of each candidate, such as `"a"` or `"ab"`; `a` is the best group.

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
