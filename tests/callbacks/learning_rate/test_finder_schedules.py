"""Schedules start from the rate that was found."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, ExponentialLR, LambdaLR, LinearLR, OneCycleLR, StepLR

from callbacks import LRFinder, find_lr
from callbacks.learning_rate.preset import rate_preset
from lightning_modules.schedulers import Cosine, OneCycle, StepDecay, Warmup
from tests.callbacks.inside_case import classifier, data, fit
from tests.callbacks.learning_rate.finder_case import SHORT, Grouped, Rates, linear

# A range test alone: how the rate was found makes no difference to a schedule that starts from it.
QUICK: dict[str, Any] = SHORT | {"method": "valley"}

SCHEDULES: dict[str, Callable[[Optimizer, float], Any]] = {
    "OneCycleLR": lambda o, s: OneCycleLR(o, [0.01 * s, 0.1 * s], total_steps=20, cycle_momentum=False),
    "CyclicLR": lambda o, s: CyclicLR(o, [0.001 * s, 0.01 * s], [0.01 * s, 0.1 * s], 4, cycle_momentum=False),
    "StepLR": lambda o, s: StepLR(o, 5),
    "ExponentialLR": lambda o, s: ExponentialLR(o, 0.9),
    "LambdaLR": lambda o, s: LambdaLR(o, lambda step: 1 / (1 + step)),
    "LinearLR": lambda o, s: LinearLR(o, 0.1, total_iters=10),
    "Sequential": lambda o, s: torch.optim.lr_scheduler.SequentialLR(
        o, [LinearLR(o, 0.1, total_iters=5), ExponentialLR(o, 0.9)], [5]
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_torch_schedules_start_from_the_pick(tmp_path: Path, name: str) -> None:
    """The rates are those of a run that was given the found rate: all are scaled by one factor."""
    plain, found, finder = Rates(), Rates(), LRFinder(**QUICK)
    fit(tmp_path / "plain", Grouped(lambda o: SCHEDULES[name](o, 1.0)), [plain], batch_size=64)
    fit(tmp_path / "found", Grouped(lambda o: SCHEDULES[name](o, 1.0)), [finder, found], batch_size=64)
    assert finder.search is not None
    factor = finder.search.pick / 0.01
    np.testing.assert_allclose(np.array(found.rates), factor * np.array(plain.rates), rtol=1e-9)
    assert len(found.rates) == 20


OURS = {"cosine": Cosine(), "one cycle": OneCycle(), "steps": StepDecay(epochs=1), "warmup": Warmup(Cosine(), steps=5)}


@pytest.mark.parametrize("name", OURS)
def test_our_schedules_start_from_the_pick(tmp_path: Path, name: str) -> None:
    given, found, finder = Rates(), Rates(), LRFinder(**QUICK)
    fit(tmp_path / "found", classifier(linear(), scheduler=OURS[name]), [finder, found], batch_size=64)
    assert finder.search is not None
    optimizer = partial(torch.optim.SGD, lr=finder.search.pick, momentum=0.9)
    fit(tmp_path / "given", classifier(linear(), optimizer=optimizer, scheduler=OURS[name]), [given], batch_size=64)
    np.testing.assert_allclose(found.rates, given.rates, rtol=1e-9)
    assert max(rates[0] for rates in found.rates) == pytest.approx(finder.search.pick, rel=0.02)


def test_the_preset_sets_the_rates_of_torchs_cycles() -> None:
    search = find_lr(classifier(linear(), scheduler=None), data(batch_size=64), accelerator="cpu", **SHORT)
    sgd: dict[str, Any] = {"class_path": "torch.optim.SGD", "init_args": {"lr": 1.0}}
    cycles = {"OneCycleLR": {"max_lr": 1.0}, "CyclicLR": {"base_lr": 0.1, "max_lr": 1.0}, "StepLR": {"step_size": 3}}
    found = {
        name: rate_preset(search, "a.B", sgd, {"class_path": name, "init_args": own})["model"]["init_args"]
        for name, own in cycles.items()
    }
    assert found["OneCycleLR"]["scheduler"]["init_args"] == {"max_lr": search.pick}
    cyclic = found["CyclicLR"]["scheduler"]["init_args"]
    assert cyclic == {"base_lr": search.cyclic[0], "max_lr": search.pick}
    assert search.cyclic[0] < search.pick
    assert "scheduler" not in found["StepLR"]
