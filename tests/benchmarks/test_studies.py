"""The simulations of whole studies, with few of them: what the documentation says of errors and cost."""

import math

import pytest

from benchmarks.studies.__main__ import Row, simulate
from benchmarks.studies.calibrate import inflation
from benchmarks.studies.surface import studies

STUDIES = 400
SLACK = 2 * math.sqrt(0.05 * 0.95 / STUDIES)


@pytest.fixture(scope="module")
def row() -> Row:
    return simulate("normal", 2, STUDIES, rounds=12)


def test_equal_candidates_are_rarely_called_different_although_tunings_choose_differently(row: Row) -> None:
    assert row.error <= 0.05 + SLACK
    assert row.equal_wrong <= 0.05 + SLACK
    assert row.joint >= 0.95 - SLACK
    assert row.error_once > 0.08, "one tuning is mistaken for the candidate"


def test_the_settings_interval_holds_for_the_settings_that_were_chosen(row: Row) -> None:
    assert row.settings == pytest.approx(0.95, abs=SLACK)


def test_large_differences_need_fewer_rounds_than_a_fixed_design_of_the_same_power(row: Row) -> None:
    assert row.limit_power >= 0.80 - SLACK
    assert row.power >= 0.95
    assert row.rounds <= 0.65 * row.fixed
    assert row.tie_rounds <= 1.1 * row.fixed


def test_the_correction_for_an_estimated_variance_is_enough() -> None:
    assert inflation(8, 3, 40_000) <= 1.25 * 1.1


def test_candidates_are_truly_equal_and_rounds_share_noise() -> None:
    found = studies(STUDIES, 3, 6, "normal")
    assert found.final.shape == (STUDIES, 3, 6, 2)
    means = found.truth.mean(axis=(0, 2))
    assert means.max() - means.min() < 0.05
