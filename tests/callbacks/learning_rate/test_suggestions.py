"""Smoothing against pandas, and suggestions on curves whose steepest point is known."""

import numpy as np
import pandas as pd
import pytest

from callbacks.learning_rate.search import smoothed_repeats
from callbacks.learning_rate.suggestions import Floats, divergence, running_mean, smooth, spaced_rates, suggest
from foundation.errors import UserError

RATES = spaced_rates(1e-6, 10, 141, "exponential")  # 20 a decade


def fall(middle: float, width: float = 0.4, rise_at: float = 1.0) -> Floats:
    """Fall from 2.3 to 0.3, fastest at `middle`, then rise beyond `rise_at`."""
    x = np.log10(RATES)
    rise = np.where(rise_at < RATES, (x - np.log10(rise_at)) * 2, 0)
    return np.asarray(0.3 + 2 / (1 + np.exp((x - np.log10(middle)) / width)) + rise)


def test_running_mean_is_that_of_pandas() -> None:
    losses = np.random.default_rng(0).normal(2, 1, 50)
    for beta in (0.0, 0.5, 0.9):
        expected = pd.Series(losses).ewm(alpha=1 - beta, adjust=True).mean().to_numpy()
        np.testing.assert_allclose(running_mean(losses, beta), expected, rtol=1e-12)
    assert running_mean(losses, 0.9)[0] == pytest.approx(losses[0], rel=1e-12)


def test_smoothing_does_not_lag() -> None:
    """A symmetric bump keeps its position; a one-sided running mean shifts it."""
    bump = -np.exp(-((np.arange(101) - 50) ** 2) / 200)
    assert abs(int(np.argmin(smooth(bump, 0.8))) - 50) <= 1
    assert int(np.argmin(running_mean(bump, 0.8))) >= 53


@pytest.mark.parametrize("middle", [1e-4, 1e-3, 1e-2])
def test_steepest_in_log_rate(middle: float) -> None:
    found = suggest(RATES, fall(middle))
    assert found.steepest == pytest.approx(middle, rel=0.13)  # a step of the grid
    assert found.cyclic[0] < found.steepest < found.cyclic[1]
    assert found.cyclic[0] < found.valley < 3 * found.cyclic[1]
    lowest = RATES[np.argmin(fall(middle))]
    assert found.minimum_tenth == pytest.approx(lowest / 10)


def test_worked_by_hand() -> None:
    rates = spaced_rates(1e-5, 1e-1, 13, "exponential")  # 3 a decade
    curve = np.array([2.0, 2.0, 2.0, 1.9, 1.7, 1.2, 1.0, 0.9, 0.8, 1.0, 1.5, 2.0, 3.0])
    found = suggest(rates, curve)
    assert found.minimum_tenth == pytest.approx(rates[8] / 10)
    assert found.steepest == rates[5] or found.steepest == rates[4]
    assert found.nine_tenths == rates[7]
    assert found.cyclic == (rates[4], rates[7])  # falls of 0.3 ≥ 0.12 and of 1.1 ≥ 1.08


def test_linear_spacing() -> None:
    np.testing.assert_allclose(spaced_rates(0.1, 0.5, 5, "linear"), [0.1, 0.2, 0.3, 0.4, 0.5])


def test_divergence() -> None:
    steady = np.full(30, 2.0)
    assert divergence(steady) == 30
    assert divergence(np.append(steady, [np.nan, 2.0])) == 30
    assert divergence(np.append(steady, np.inf)) == 30
    assert divergence(np.append(steady, [50.0, 80.0])) == 30
    assert divergence(np.append(steady, [3.0, 3.0, 3.0])) == 33
    assert divergence(np.array([np.nan])) == 0
    critic = np.linspace(-1.0, -5.0, 30)  # negative losses are no divergence
    assert divergence(critic) == 30


def test_noise_alone_is_refused() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        sweeps = [2.3 + generator.normal(0, 0.2, 141) for _ in range(3)]
        curve, _, noise = smoothed_repeats(sweeps, 0.8)
        with pytest.raises(UserError, match=r"does not fall .* widen the range .* more repeats"):
            suggest(RATES, curve, noise)


def test_noise_does_not_move_the_suggestion_far() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        sweeps = [fall(1e-2) + generator.normal(0, 0.1, 141) for _ in range(3)]
        curve, band, noise = smoothed_repeats(sweeps, 0.8)
        found = suggest(RATES, curve, noise)
        assert 1e-2 / 3 < found.steepest < 3e-2
        assert 1e-2 / 3 < found.valley < 3e-2
        assert (band[0] <= curve).all()
        assert (curve <= band[1]).all()


def test_a_truncated_curve_is_refused() -> None:
    with pytest.raises(UserError, match=r"still falls at the highest rate, 10: raise high"):
        suggest(RATES, fall(0.5, rise_at=100.0))
    falling_then_gone = fall(1e-2, rise_at=100.0)[:120]
    with pytest.raises(UserError, match="raise high"):
        suggest(RATES, np.linspace(2, 1, 141))
    assert suggest(RATES, falling_then_gone, diverged=True).steepest == pytest.approx(1e-2, rel=0.13)


def test_an_early_divergence_is_refused() -> None:
    with pytest.raises(UserError, match=r"diverged after 3 steps.*start at a lower rate"):
        suggest(RATES, np.array([2.0, 2.1, 2.2]))
