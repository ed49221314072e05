"""The climb to the best rate, its band, and the length of a run."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from schedulefree import AdamWScheduleFree
from timm.optim import Lamb, Lion, Muon  # type: ignore[attr-defined]
from torch import nn

from callbacks.learning_rate.short_runs import (
    USUAL,
    ShortRun,
    climb,
    length_factor,
    start_rate,
    usual_rate,
    verdict,
)
from callbacks.learning_rate.suggestions import Suggestions


def bowl(best: float, beyond: float = math.inf) -> Callable[[float], float]:
    """Return a loss that is lowest at a rate, and diverges beyond another."""
    return lambda rate: 1 + math.log10(rate / best) ** 2 if rate < beyond else math.inf


@pytest.mark.parametrize("best", [0.01, 0.03, 0.1, 0.4, 2.0])
def test_it_finds_the_bottom_from_a_distance(best: float) -> None:
    runs = climb(0.1, bowl(best), steps=15, runs=9, low=1e-6, high=10)
    found = verdict(runs)
    assert found is not None
    assert found.rate == pytest.approx(best, rel=1e-6)  # a parabola over log rate
    assert found.equal[0] < best < found.equal[1]
    width = math.log10(found.equal[1] / found.equal[0])
    assert width == pytest.approx(2 * math.sqrt(0.05), rel=0.5)


@pytest.mark.parametrize("start", [1e-5, 1.0])
def test_it_stays_in_the_range_and_within_its_number_of_runs(start: float) -> None:
    runs = climb(start, bowl(1e-3), steps=15, runs=5, low=1e-5, high=1.0)
    assert 3 <= len(runs) <= 5
    assert all(1e-5 <= run.rate <= 1.0 for run in runs)
    assert len({run.rate for run in runs}) == len(runs)


def test_diverged_runs_are_no_neighbours() -> None:
    runs = climb(0.1, bowl(0.3, beyond=0.25), steps=15, runs=5, low=1e-6, high=10)
    found = verdict(runs)
    assert found is not None
    assert found.rate == pytest.approx(0.1 * 10 ** (1 / 3))
    assert verdict([ShortRun(0.1, 15, math.inf)]) is None


def test_a_flat_curve_has_a_wide_band() -> None:
    losses = {0.01: 1.3, 0.1: 1.0, 1.0: 1.01, 10.0: 2.0}
    found = verdict([ShortRun(rate, 15, loss) for rate, loss in losses.items()])
    assert found is not None
    assert found.equal[0] == pytest.approx(0.1 * 0.1 ** (0.05 / 0.3))
    assert found.equal[1] == pytest.approx(1.0 * 10 ** (0.04 / 0.99))


def test_longer_runs_have_lower_rates() -> None:
    factors = [length_factor(15, steps) for steps in (10, 15, 30, 200, 2000, 20_000)]
    assert factors[0] == factors[1] == 1
    assert factors == sorted(factors, reverse=True)
    assert length_factor(15, 30) * length_factor(30, 200) == pytest.approx(length_factor(15, 200))
    assert length_factor(100, 20_000) / length_factor(100, 2000) == pytest.approx(10**-0.32)


def test_the_start_lies_between_range_test_and_usual_rate() -> None:
    found = Suggestions(0.4, 0.1, 0.05, 0.1, (0.01, 0.4))
    by_test, by_rule = (start_rate(f, u, 15) for f, u in ((found, None), (None, 0.01)))
    assert by_rule == pytest.approx(0.01 / length_factor(15, 200))
    assert start_rate(found, 0.01, 15) == pytest.approx(math.sqrt(by_test * by_rule))


OPTIMIZERS = {
    "SGD": partial(torch.optim.SGD, lr=0.1),
    "SGD with momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "AdamW": torch.optim.AdamW,
    "Lion": Lion,
    "Lamb": Lamb,
    "Muon": Muon,
    "AdamWScheduleFree": AdamWScheduleFree,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_usual_rates(name: str) -> None:
    assert usual_rate(OPTIMIZERS[name](nn.Linear(3, 3).parameters())) == USUAL[name]
    assert usual_rate(torch.optim.ASGD(nn.Linear(3, 3).parameters())) is None
