"""Decisions after each round, on studies whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from descent.studies.statistics.group_sequential import looks, nominal_levels, spent
from descent.studies.statistics.power import sequential_limit
from descent.studies.statistics.sequential_test import BETTER, EQUAL, UNDECIDED, WORSE, collapsed, decide, failed_rounds

STUDIES = 1000


def noise(
    kind: str, candidates: int, rounds: int = 12, seed: int = 0
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Studies of candidates that are equal, with the effect of the seed and own noise."""
    rng = np.random.default_rng(seed)
    shape = (STUDIES, candidates, rounds)
    own = {
        "normal": lambda: rng.normal(size=shape),
        "heavy": lambda: rng.standard_t(3, size=shape),
        "skewed": lambda: rng.exponential(size=shape),
        "unequal": lambda: rng.normal(size=shape) * np.linspace(0.3, 3, candidates)[:, None],
        "collapsing": lambda: rng.normal(size=shape) - 20.0 * (rng.random(shape) < 0.1),
    }[kind]()
    return np.asarray(rng.normal(size=(STUDIES, 1, rounds)) + own)


# -- levels ------------------------------------------------------------------------------------------------------------


def test_levels_of_known_variance_spend_what_is_allowed_at_each_look() -> None:
    at, most = (3, 6, 12), 12
    levels = nominal_levels(at, most, 0.05 * 1.25)
    walk = np.random.default_rng(0).normal(size=(400_000, most)).cumsum(axis=1)
    crossed = np.zeros(len(walk), dtype=bool)
    for rounds, level in zip(at, levels, strict=True):
        crossed |= np.abs(walk[:, rounds - 1]) / math.sqrt(rounds) > stats.norm.isf(level / 2)
        assert crossed.mean() == pytest.approx(spent(rounds / most, 0.05), rel=0.05)


def test_a_single_look_has_the_whole_level() -> None:
    assert nominal_levels((8,), 8, 0.05) == pytest.approx((0.04,), rel=1e-3)


def test_looks_end_with_the_last_round_and_begin_with_the_fourth() -> None:
    for most in range(3, 31):
        found = looks(most)
        assert found == sorted(set(found))
        assert (found[0], found[-1]) == (min(4, most), most)
    assert looks(2) == []


# -- errors and power --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["normal", "heavy", "skewed", "unequal", "collapsing"])
@pytest.mark.parametrize("candidates", [2, 4])
def test_equal_candidates_are_called_different_in_at_most_5_percent_of_studies(kind: str, candidates: int) -> None:
    found = decide(noise(kind, candidates), 12, delta=0.0)
    assert (found.decision != UNDECIDED).any(axis=-1).mean() <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / STUDIES)


def test_scores_that_are_counts_keep_the_level_with_few_rounds() -> None:
    rng = np.random.default_rng(0)
    scores = rng.binomial(1, 0.5, size=(STUDIES, 6, 4)) / 359  # one image of 359 is sometimes right
    found = decide(scores, 4, delta=0.0, step=1 / 359)
    assert (found.decision != UNDECIDED).any(axis=-1).mean() <= 0.05


def test_a_candidate_at_the_edge_of_delta_is_called_equal_in_at_most_5_percent() -> None:
    scores = noise("normal", 2)
    scores[:, 0] += 3.0
    assert (decide(scores, 12, delta=3.0).decision == EQUAL).mean() <= 0.05
    assert (decide(scores - [[[3.0], [0.0]]], 12, delta=3.0).decision == EQUAL).mean() > 0.9


def test_intervals_hold_together_over_pairs_and_looks() -> None:
    found = decide(noise("normal", 3), 12, delta=0.0)
    assert ((found.low <= 0) & (found.high >= 0)).all(axis=-1).mean() >= 0.95 - 0.014


def test_a_difference_of_the_planned_size_is_found_in_80_percent_and_a_large_one_early() -> None:
    scores = noise("normal", 2)
    scores[:, 0] += sequential_limit(math.sqrt(2), 12, 1)
    found = decide(scores, 12, delta=0.0, stop=True)
    assert 0.78 <= (found.decision == BETTER).mean() <= 0.90
    scores[:, 0] += 2 * math.sqrt(2)
    assert decide(scores, 12, delta=0.0, stop=True).used.mean() < 0.6 * 12


# -- single decisions --------------------------------------------------------------------------------------------------

WOBBLE = np.array([0.1, -0.1, 0.05, -0.05, 0.1, -0.1, 0.02, -0.02])


def test_a_candidate_that_is_decided_stops_and_the_others_go_on() -> None:
    scores = np.stack([WOBBLE, WOBBLE[::-1], WOBBLE * 0.5 - 5])
    found = decide(scores, 8, delta=0.0, stop=True)
    assert found.pairs == [(0, 1), (0, 2), (1, 2)]
    assert found.decision.tolist() == [UNDECIDED, BETTER, BETTER]
    assert found.active.tolist() == [True, True, False]
    assert found.used.tolist()[2] < 8
    assert decide(scores, 8, delta=1.0).decision.tolist() == [EQUAL, BETTER, BETTER]


def test_two_losers_need_not_be_told_apart() -> None:
    scores = np.stack([WOBBLE, WOBBLE * 0.7 - 5, WOBBLE[::-1] - 5])
    assert decide(scores, 8, delta=0.0).active.tolist() == [False, False, False]


def test_missing_rounds_are_left_out_of_their_pair_only() -> None:
    scores = np.stack([WOBBLE + 1, WOBBLE[::-1], WOBBLE * 0.5])
    scores[0, 0], scores[1, 3] = np.nan, np.nan
    found = decide(scores, 8, delta=0.0)
    assert found.rounds.tolist() == [6, 7, 7]
    assert found.mean[0] == pytest.approx((scores[0] - scores[1])[[1, 2, 4, 5, 6, 7]].mean())


def test_rounds_with_a_diverged_run_are_left_out_and_the_better_one_must_win_most_rounds() -> None:
    scores = np.stack([np.arange(12.0), np.arange(12.0) - 1 + np.tile(WOBBLE[:4], 3)])
    scores[1, 3] = -np.inf
    found = decide(scores, 12, delta=0.0)
    assert found.without_failed.tolist() == [True]
    assert found.decision.tolist() == [BETTER]
    assert found.mean[0] == pytest.approx(np.delete(scores[0] - scores[1], 3).mean())
    assert decide(scores[::-1], 12, delta=0.0).decision.tolist() == [WORSE]
    assert decide(scores, 12, delta=5.0).decision.tolist() == [UNDECIDED], "not equal: one may diverge more often"
    few = decide(scores[:, :6], 6, delta=0.0)
    scores[0, :7:2] = -np.inf  # better in the rounds that are left, and in 3 of 7
    assert decide(scores[:, :7], 7, delta=0.0).decision.tolist() == [UNDECIDED]
    assert few.decision.tolist() == [BETTER]


def test_a_run_that_collapsed_is_found_though_its_round_hides_it() -> None:
    runs = np.stack([WOBBLE, WOBBLE[::-1]])[..., None] + np.zeros(4)
    runs[0, 2, 1] = -2.0
    assert np.argwhere(failed_rounds(runs)).tolist() == [[0, 2]]
    assert decide(runs.mean(axis=-1), 8, delta=0.0, runs=runs).without_failed.tolist() == [True]
    assert decide(runs.mean(axis=-1), 8, delta=0.0).without_failed.tolist() == [False]


@pytest.mark.parametrize("collapsing", [[0], [0, 1]])
def test_collapsing_runs_cost_neither_the_level_nor_the_power(collapsing: list[int]) -> None:
    rng = np.random.default_rng(0)
    runs = np.asarray(rng.normal(size=(STUDIES, 1, 12, 1)) + rng.normal(size=(STUDIES, 2, 12, 2)))
    fallen = 20.0 * (rng.random((STUDIES, len(collapsing), 12, 2)) < 0.1)
    runs[:, collapsing] -= fallen
    found = decide(runs.mean(axis=-1), 12, delta=0.0, runs=runs)
    assert (found.decision != UNDECIDED).mean() <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / STUDIES)
    assert ((found.low <= 0) & (found.high >= 0)).mean() >= 0.95 - 0.014
    means = runs.mean(axis=-1)
    runs[:, 0] += sequential_limit(float((means[:, 0] - means[:, 1]).std()), 12, 1)
    assert (decide(runs.mean(axis=-1), 12, delta=0.0, runs=runs).decision == BETTER).mean() > 0.9


def test_a_constant_difference_of_one_step_is_no_difference_with_few_rounds() -> None:
    ones = np.ones(4)
    assert decide([ones, ones - 0.3], 4, delta=0.0, step=0.3).decision.tolist() == [UNDECIDED]
    assert decide([ones, ones], 4, delta=0.0).decision.tolist() == [EQUAL]


def test_a_collapsed_run_is_found_among_its_candidates() -> None:
    scores = np.stack([WOBBLE, WOBBLE])
    scores[1, 2] = -30.0
    assert np.argwhere(collapsed(scores)).tolist() == [[1, 2]]
    assert not collapsed(np.random.default_rng(0).normal(size=(500, 2, 8))).any(axis=(-1, -2)).mean() > 0.05


def test_too_few_candidates_give_an_error_and_too_few_rounds_no_decision() -> None:
    with pytest.raises(ValueError, match="at least 2 candidates, got scores of shape"):
        decide([[1.0, 2.0]], 4, delta=0.0)
    assert decide([[1.0, 2.0], [5.0, 6.0]], 2, delta=0.0).decision.tolist() == [UNDECIDED]
