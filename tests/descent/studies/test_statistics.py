"""The statistics against their formulas, scipy and statsmodels, and on synthetic studies with known answers."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import multitest, power

from descent.studies.statistics.curves import censored_median, expected_best, first_reached
from descent.studies.statistics.intervals import bootstrap_t_interval, t_interval
from descent.studies.statistics.paired_tests import all_pairs, holm, paired_difference, tie_groups
from descent.studies.statistics.power import cautious_sd, detectable_difference

STUDIES = 2000
ALPHA = 0.05


def studies_of(
    candidates: int, seeds: int, seed_sd: float = 1.0, own_sd: float = 1.0, seed: int = 0
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """STUDIES studies without any difference: the effect of the seed plus the noise of each run."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, seed_sd, (STUDIES, 1, seeds))
    return np.asarray(common + rng.normal(0, own_sd, (STUDIES, candidates, seeds)))


# -- against others ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [2, 5, 8, 30])
def test_interval_and_test_equal_scipys_and_the_formula(seeds: int) -> None:
    x, y = np.random.default_rng(seeds).normal(size=(2, seeds))
    ours, theirs = paired_difference(x, y), stats.ttest_rel(x, y)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-12)
    d = x - y
    t = d.mean() * math.sqrt(seeds) / d.std(ddof=1)
    assert ours.p_value == pytest.approx(2 * stats.t.sf(abs(t), seeds - 1), rel=1e-12)
    interval = theirs.confidence_interval(0.95)
    assert (ours.interval.low, ours.interval.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
    theirs_of_mean = stats.t.interval(0.95, seeds - 1, x.mean(), stats.sem(x))
    assert tuple(t_interval(x)[1:]) == pytest.approx(theirs_of_mean, rel=1e-12)


def test_bootstrap_draws_the_t_values_that_scipys_resampling_draws() -> None:
    x = np.random.default_rng(1).exponential(size=12)
    ours = bootstrap_t_interval(x, resamples=200_000)

    def t_of(sample: np.ndarray[tuple[int, ...], np.dtype[np.float64]], axis: int) -> object:
        return (sample.mean(axis=axis) - x.mean()) / (sample.std(axis=axis, ddof=1) / math.sqrt(12))

    drawn = stats.bootstrap((x,), t_of, n_resamples=200_000, batch=20_000, rng=2).bootstrap_distribution
    low, high = np.quantile(drawn, [0.025, 0.975])
    error = x.std(ddof=1) / math.sqrt(12)
    assert (ours.low, ours.high) == pytest.approx((x.mean() - high * error, x.mean() - low * error), rel=0.02)


def test_holm_equals_statsmodels() -> None:
    rng = np.random.default_rng(3)
    for m in (1, 2, 5, 15):
        p = rng.uniform(size=m) ** 3
        np.testing.assert_allclose(holm(p), multitest.multipletests(p, method="holm")[1], rtol=1e-12)


def test_holm_by_hand_with_ties_and_in_bulk() -> None:
    assert holm([0.01, 0.01, 0.5]).tolist() == [0.03, 0.03, 0.5]
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    rows = np.random.default_rng(0).uniform(size=(7, 4))
    np.testing.assert_array_equal(holm(rows), np.stack([holm(row) for row in rows]))


def test_limit_equals_statsmodels() -> None:
    for seeds, comparisons in [(5, 1), (8, 15), (20, 3)]:
        limit = detectable_difference(2.0, seeds, comparisons)
        theirs = power.TTestPower().power(limit / 2.0, seeds, 0.05 / comparisons, alternative="two-sided")
        assert theirs == pytest.approx(0.80, abs=1e-3)  # theirs also counts finding the wrong sign


# -- on studies with a known answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("candidates", "seeds"), [(2, 5), (3, 8), (6, 8), (6, 20)])
@pytest.mark.parametrize("seed_sd", [0.0, 3.0])
def test_a_false_difference_is_claimed_in_at_most_6_percent(candidates: int, seeds: int, seed_sd: float) -> None:
    tests = all_pairs(studies_of(candidates, seeds, seed_sd))
    assert (tests.corrected < ALPHA).any(axis=-1).mean() <= 0.06


def test_tie_groups_claim_nothing_that_the_tests_do_not() -> None:
    claims = 0
    for scores in studies_of(4, 8)[:500]:
        letters = tie_groups(scores.mean(axis=1).tolist(), all_pairs(scores), larger_is_better=True)
        claims += any(not set(a) & set(b) for a, b in combinations(letters, 2))
    assert claims / 500 <= 0.07


@pytest.mark.parametrize(("candidates", "seeds"), [(2, 5), (3, 8), (6, 8)])
def test_twice_the_planners_limit_is_detected_in_80_percent(candidates: int, seeds: int) -> None:
    comparisons = candidates * (candidates - 1) // 2
    rng = np.random.default_rng(9)
    scores = studies_of(candidates, seeds)
    for study in scores:
        # the pilot: two seeds a candidate, differences to the first
        pilot = np.diff(rng.normal(size=(candidates, 2)) + rng.normal(size=(1, 2)), axis=1)[:, 0] / math.sqrt(2)
        sd = math.sqrt(2) * max(float(pilot.std(ddof=1)), 1e-3)
        study[0] += 2 * detectable_difference(cautious_sd(sd, candidates - 1), seeds, comparisons)
    tests = all_pairs(scores)
    first = [pair[0] == 0 for pair in tests.pairs]
    found = float((tests.corrected[:, first] < ALPHA).mean())
    assert found >= 0.80


def test_the_limit_itself_is_detected_as_often_as_stated() -> None:
    scores = studies_of(2, 8)
    scores[:, 0] += detectable_difference(math.sqrt(2), 8, 1)
    assert 0.77 <= (all_pairs(scores).corrected < ALPHA).mean() <= 0.83


@pytest.mark.parametrize("seeds", [3, 5, 8, 20])
def test_intervals_contain_the_mean_in_95_percent(seeds: int) -> None:
    mean = np.random.default_rng(4).normal(5.0, 2.0, (STUDIES, seeds))
    single = t_interval(mean)
    assert 0.93 <= ((single.low <= 5.0) & (single.high >= 5.0)).mean() <= 0.97
    x = studies_of(2, seeds, seed_sd=3.0, seed=6)
    difference = paired_difference(x[:, 0] + 0.7, x[:, 1]).interval
    assert 0.93 <= ((difference.low <= 0.7) & (difference.high >= 0.7)).mean() <= 0.97


def test_the_bootstrap_t_interval_contains_the_mean_more_often_than_the_percentile_interval() -> None:
    rows = np.random.default_rng(5).normal(size=(STUDIES, 8))
    ours = [bootstrap_t_interval(row, resamples=400) for row in rows]
    assert 0.93 <= np.mean([i.low <= 0 <= i.high for i in ours]) <= 0.97
    index = np.random.default_rng(0).integers(8, size=(400, 8))
    low, high = np.quantile(rows[:, index].mean(axis=2), [0.025, 0.975], axis=1)
    assert ((low <= 0) & (high >= 0)).mean() < 0.93


def test_the_upper_limit_of_an_sd_holds_as_often_as_stated() -> None:
    sd = np.random.default_rng(8).normal(size=(STUDIES, 6)).std(axis=1, ddof=1)
    assert 0.77 <= np.mean([cautious_sd(float(s), 5) >= 1 for s in sd]) <= 0.83


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_a_constant_difference_has_p_0_and_none_has_p_1() -> None:
    x = np.array([0.1, 0.2, 0.3])
    assert paired_difference(x + 0.7, x).p_value == 0.0
    assert paired_difference(x, x).p_value == 1.0
    assert paired_difference(x, x).interval.low == 0.0


def test_ties_overlap_where_the_middle_one_cannot_be_told_from_either() -> None:
    wobble = np.array([1.0, -1.0, 2.0, -2.0, 1.5, -1.5, 0.5, -0.5])  # mean 0
    scores = np.stack([2.0 + wobble / 20, 1.0 + wobble, 0.0 - wobble / 20])
    tests = all_pairs(scores)
    assert [bool(p < ALPHA) for p in tests.corrected] == [False, True, False]
    assert tie_groups(scores.mean(axis=1).tolist(), tests, larger_is_better=True) == ["a", "ab", "b"]
    assert tie_groups(scores.mean(axis=1).tolist(), tests, larger_is_better=False) == ["b", "ab", "a"]


def test_expected_best_equals_every_subset_tried() -> None:
    scores = [0.3, 0.9, 0.1, 0.9, 0.5]
    for largest in (True, False):
        pick = max if largest else min
        by_hand = [float(np.mean([pick(s) for s in combinations(scores, k)])) for k in range(1, 6)]
        assert expected_best(scores, larger_is_better=largest) == pytest.approx(by_hand, rel=1e-12)


def test_targets() -> None:
    assert first_reached([1, 2, 3], [5.0, math.nan, 2.0], 3.0, larger_is_better=False) == 3.0
    assert censored_median([math.inf, 4.0, 1.0, 2.0]) == 3.0
    assert math.isinf(censored_median([math.inf, math.inf, 1.0]))
    assert math.isnan(censored_median([]))


def test_too_few_values_give_an_error() -> None:
    with pytest.raises(ValueError, match="at least 2 values, got 1: run more seeds"):
        t_interval([1.0])
    with pytest.raises(ValueError, match="at least 4 values in one row"):
        bootstrap_t_interval([1.0, 2.0])
    with pytest.raises(ValueError, match="at least 2 candidates"):
        all_pairs([[1.0, 2.0]])
    with pytest.raises(ValueError, match="seeds must be ≥ 2, got 1"):
        detectable_difference(1.0, 1, 1)
