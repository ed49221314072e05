"""The statistics against their formulas, scipy and statsmodels, and on synthetic studies with known answers."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import power
from statsmodels.stats.proportion import proportion_confint

from descent.studies.statistics.counts import proportion, resolution, superiority
from descent.studies.statistics.curves import censored_median, expected_best, first_reached
from descent.studies.statistics.intervals import bootstrap_t_interval, t_interval
from descent.studies.statistics.power import cautious_sd, detectable_difference

STUDIES = 2000


# -- against others ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [2, 5, 8, 30])
def test_the_interval_equals_scipys(seeds: int) -> None:
    x = np.random.default_rng(seeds).normal(size=seeds)
    theirs = stats.t.interval(0.95, seeds - 1, x.mean(), stats.sem(x))
    assert tuple(t_interval(x)[1:]) == pytest.approx(theirs, rel=1e-12)


def test_bootstrap_draws_the_t_values_that_scipys_resampling_draws() -> None:
    x = np.random.default_rng(1).exponential(size=12)
    ours = bootstrap_t_interval(x, resamples=200_000)

    def t_of(sample: np.ndarray[tuple[int, ...], np.dtype[np.float64]], axis: int) -> object:
        return (sample.mean(axis=axis) - x.mean()) / (sample.std(axis=axis, ddof=1) / math.sqrt(12))

    drawn = stats.bootstrap((x,), t_of, n_resamples=200_000, batch=20_000, rng=2).bootstrap_distribution
    low, high = np.quantile(drawn, [0.025, 0.975])
    error = x.std(ddof=1) / math.sqrt(12)
    assert (ours.low, ours.high) == pytest.approx((x.mean() - high * error, x.mean() - low * error), rel=0.02)


def test_a_proportion_equals_statsmodels() -> None:
    for count, total in [(0, 8), (3, 8), (8, 8), (29, 30)]:
        theirs = proportion_confint(count, total, method="beta")
        assert tuple(proportion(count, total)[1:]) == pytest.approx(theirs, abs=1e-12)


def test_limit_equals_statsmodels() -> None:
    for seeds, comparisons in [(5, 1), (8, 15), (20, 3)]:
        limit = detectable_difference(2.0, seeds, comparisons)
        theirs = power.TTestPower().power(limit / 2.0, seeds, 0.05 / comparisons, alternative="two-sided")
        assert theirs == pytest.approx(0.80, abs=1e-3)  # theirs also counts finding the wrong sign


# -- on studies with a known answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [3, 5, 8, 20])
def test_intervals_contain_the_mean_in_95_percent(seeds: int) -> None:
    mean = np.random.default_rng(4).normal(5.0, 2.0, (STUDIES, seeds))
    single = t_interval(mean)
    assert 0.93 <= ((single.low <= 5.0) & (single.high >= 5.0)).mean() <= 0.97


def test_the_bootstrap_t_interval_contains_the_mean_more_often_than_the_percentile_interval() -> None:
    rows = np.random.default_rng(5).normal(size=(800, 8))
    ours = [bootstrap_t_interval(row, resamples=400) for row in rows]
    assert 0.93 <= np.mean([i.low <= 0 <= i.high for i in ours]) <= 0.97
    index = np.random.default_rng(0).integers(8, size=(400, 8))
    low, high = np.quantile(rows[:, index].mean(axis=2), [0.025, 0.975], axis=1)
    assert ((low <= 0) & (high >= 0)).mean() < 0.93


def test_the_upper_limit_of_an_sd_holds_as_often_as_stated() -> None:
    sd = np.random.default_rng(8).normal(size=(STUDIES, 6)).std(axis=1, ddof=1)
    assert 0.77 <= np.mean([cautious_sd(float(s), 5) >= 1 for s in sd]) <= 0.83


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_a_bootstrap_of_many_equal_values_is_no_wider_than_the_values_allow() -> None:
    values = [0.9805] * 4 + [0.9777]
    assert bootstrap_t_interval(values) == t_interval(values)
    assert [float(end) for end in bootstrap_t_interval([0.5] * 6)] == [0.5] * 3


def test_the_resolution_of_a_metric_is_its_smallest_step() -> None:
    assert resolution([352 / 359, 351 / 359, 352 / 359 + 1e-9]) == pytest.approx(1 / 359)
    assert resolution([0.5, 0.5, math.inf]) == 0.0


def test_a_tie_counts_half_and_widens_both_ends() -> None:
    chance = superiority([1.0, 2.0, 3.0, math.nan], [0.0, 2.0, 3.0, 1.0])
    assert chance.share == pytest.approx(2 / 3)
    assert chance.low == pytest.approx(proportion(1, 3).low)
    assert chance.high == 1.0


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
    with pytest.raises(ValueError, match="seeds must be ≥ 2, got 1"):
        detectable_difference(1.0, 1, 1)
