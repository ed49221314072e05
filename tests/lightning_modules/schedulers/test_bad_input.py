"""Every mistake in a schedule gives a clear one-line error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from foundation.errors import UserError
from lightning_modules.schedulers import (
    Cosine,
    Cyclic,
    ExponentialDecay,
    Milestones,
    OneCycle,
    Plateau,
    Polynomial,
    RunLength,
    StableDecay,
    StepDecay,
    TorchSchedule,
    WarmRestarts,
    Warmup,
    build_schedule,
)

RUN_LENGTH = RunLength(steps=100, epochs=10, steps_per_epoch=10)
ENDLESS = RunLength(steps=None, epochs=None, steps_per_epoch=None)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Cosine(end_factor=-0.1), r"end_factor must be in \[0, 1\], got -0\.1\."),
        (lambda: OneCycle(pct_start=1.0), r"pct_start must be in \(0, 1\), got 1\.0\."),
        (lambda: OneCycle(div_factor=0.5), r"div_factor must be ≥ 1, got 0\.5\."),
        (lambda: OneCycle(final_div_factor=0), r"final_div_factor must be ≥ 1, got 0\."),
        (lambda: OneCycle(max_momentum=1.0), r"max_momentum must be in \[0, 1\), got 1\.0\."),
        (lambda: OneCycle(anneal_strategy="cosine"), r"anneal_strategy must be cos or linear, got 'cosine'\."),  # type: ignore[arg-type]
        (lambda: StepDecay(epochs=3, gamma=0.0), r"gamma must be > 0, got 0\.0\."),
        (lambda: StepDecay(epochs=-3), r"epochs must be > 0, got -3\."),
        (lambda: StepDecay(), r"StepDecay takes exactly one of steps, epochs and fraction, got none of them\."),
        (
            lambda: Milestones(epochs=[3, 2]),
            r"Milestones: epochs needs at least one milestone, in increasing order, got \[3, 2\]\.",
        ),
        (
            lambda: Milestones(steps=[]),
            r"Milestones: steps needs at least one milestone, in increasing order, got \[\]\.",
        ),
        (lambda: Milestones(), r"exactly one of steps, epochs and fractions, got none of them\."),
        (lambda: Milestones(epochs=[1], steps=[1]), r"exactly one of steps, epochs and fractions, got steps, epochs\."),
        (lambda: Milestones(fractions=[0.5, 1.5]), r"fraction must be in \(0, 1\), got 1\.5\."),
        (lambda: ExponentialDecay(), r"takes either gamma or end_factor, got gamma: None, end_factor: None\."),
        (lambda: ExponentialDecay(gamma=0.9, end_factor=0.1), r"takes either gamma or end_factor, got gamma: 0\.9,"),
        (lambda: ExponentialDecay(end_factor=0.0), r"end_factor must be > 0, got 0\.0\."),
        (lambda: ExponentialDecay(gamma=-1.0), r"gamma must be > 0, got -1\.0\."),
        (lambda: Polynomial(power=0.0), r"power must be > 0, got 0\.0\."),
        (lambda: WarmRestarts(epochs=1, multiplier=0.5), r"multiplier must be ≥ 1, got 0\.5\."),
        (lambda: Cyclic(epochs=1, up=0.0), r"up must be in \(0, 1\), got 0\.0\."),
        (lambda: Cyclic(epochs=1, mode="square"), r"mode must be triangular, triangular2 or exp_range, got 'square'\."),  # type: ignore[arg-type]
        (lambda: StableDecay(epochs=1, shape="step"), r"shape must be linear, sqrt or cos, got 'step'\."),  # type: ignore[arg-type]
        (lambda: Plateau(factor=1.0), r"factor must be in \(0, 1\), got 1\.0\."),
        (lambda: Plateau(patience=-1), r"patience must be ≥ 0, got -1\."),
        (lambda: Plateau(min_lr=-1e-3), r"min_lr must be ≥ 0, got -0\.001\."),
        (lambda: Plateau(mode="least"), r"mode must be min or max, got 'least'\."),  # type: ignore[arg-type]
        (lambda: Plateau(threshold_mode="both"), r"threshold_mode must be rel or abs, got 'both'\."),  # type: ignore[arg-type]
        (lambda: Plateau(monitor=""), r"monitor must name a logged value such as val/loss, got an empty name\."),
        (
            lambda: Warmup(Cosine(), steps=10, fraction=0.1),
            r"Warmup takes exactly one of steps, epochs and fraction, got steps: 10, fraction: 0\.1\.",
        ),
        (lambda: Warmup(Cosine(), fraction=1.0), r"fraction must be in \(0, 1\), got 1\.0\."),
        (lambda: Warmup(Cosine(), steps=0), r"steps must be > 0, got 0\."),
        (lambda: Warmup(Cosine(), steps=5, start_factor=1.5), r"start_factor must be in \[0, 1\], got 1\.5\."),
        (
            lambda: TorchSchedule(functools.partial(lr_scheduler.StepLR, step_size=1), interval="batch"),  # type: ignore[arg-type]
            r"interval must be step or epoch, got 'batch'\.",
        ),
    ],
)
def test_a_wrong_argument_is_an_error_at_construction(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


LONG = r"is not shorter than the run of 100 steps\. Train longer, shorten it, or give it as a share"


@pytest.mark.parametrize(
    ("scheduler", "run_length", "message"),
    [
        (Warmup(Cosine(), steps=100), RUN_LENGTH, r"Warmup: steps: 100 \(100 steps\) " + LONG),
        (Warmup(Plateau(), epochs=12), RUN_LENGTH, r"Warmup: epochs: 12 \(120 steps\) " + LONG),
        (StepDecay(epochs=30), RUN_LENGTH, r"StepDecay: epochs: 30 \(300 steps\) " + LONG),
        (Milestones(epochs=[5, 10]), RUN_LENGTH, r"Milestones: epochs: 10 \(100 steps\) " + LONG),
        (WarmRestarts(epochs=20), RUN_LENGTH, r"WarmRestarts: epochs: 20 \(200 steps\) " + LONG),
        (Cyclic(steps=4000), RUN_LENGTH, r"Cyclic: steps: 4000 \(4000 steps\) " + LONG),
        (StableDecay(steps=150), RUN_LENGTH, r"StableDecay: steps: 150 \(150 steps\) " + LONG),
        (
            Warmup(StableDecay(steps=90), steps=20),
            RUN_LENGTH,
            r"StableDecay: a decay of steps: 90 does not fit into the 80 steps after the warm-up\.",
        ),
        (
            Cosine(),
            ENDLESS,
            r"Cosine needs the length of the run, but this run has no known end: set trainer\.max_epochs",
        ),
        (OneCycle(), ENDLESS, r"OneCycle needs the length of the run"),
        (Polynomial(), ENDLESS, r"Polynomial needs the length of the run"),
        (StableDecay(steps=10), ENDLESS, r"StableDecay needs the length of the run"),
        (Warmup(Plateau(), fraction=0.1), ENDLESS, r"Warmup needs the length of the run"),
        (StepDecay(epochs=3), ENDLESS, r"StepDecay counts in epochs, but an epoch of this run has no known length"),
        (ExponentialDecay(gamma=0.9), ENDLESS, r"ExponentialDecay counts in epochs"),
        (
            functools.partial(lr_scheduler.StepLR, step_size=30),
            RUN_LENGTH,
            r"StepLR: step_size is 30 epochs, but the run has 10\..*lightning_modules\.schedulers\.StepDecay takes its",
        ),
        (functools.partial(lr_scheduler.StepLR, step_size=10), RUN_LENGTH, r"StepLR: step_size is 10 epochs"),
        (
            functools.partial(lr_scheduler.CosineAnnealingLR, T_max=100),
            RUN_LENGTH,
            r"CosineAnnealingLR: T_max is 100 epochs, but the run has 10\. Change one of the two, or count in steps",
        ),
        (
            functools.partial(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=90),
            RUN_LENGTH,
            r"OneCycleLR: total_steps is 90 optimizer steps, but the run has 100\.",
        ),
        (
            functools.partial(lr_scheduler.MultiStepLR, milestones=[3, 60]),
            RUN_LENGTH,
            r"MultiStepLR: the last of milestones is 60 epochs, but the run has 10\.",
        ),
        (
            functools.partial(lr_scheduler.CyclicLR, base_lr=0.01, max_lr=0.1),
            RUN_LENGTH,
            r"CyclicLR: total_size is 4000 optimizer steps, but the run has 100\.",
        ),
        (
            Warmup(functools.partial(lr_scheduler.PolynomialLR, total_iters=10), epochs=1),
            RUN_LENGTH,
            r"PolynomialLR: total_iters is 10 epochs, but the run has 9\.",
        ),
    ],
)
def test_a_schedule_that_does_not_fit_the_run_is_an_error(scheduler: Any, run_length: RunLength, message: str) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    with pytest.raises(UserError, match=message):
        build_schedule(scheduler, optimizer, run_length)


@pytest.mark.parametrize("scheduler", [Warmup(Cosine(), steps=500), StepDecay(epochs=30), Milestones(epochs=[30])])
def test_fast_dev_run_shortens_what_does_not_fit(scheduler: Any) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    config = build_schedule(scheduler, optimizer, RunLength(1, 1, 1, fast_dev_run=True))
    assert config is not None


@pytest.mark.parametrize("scheduler", [OneCycle(), Cyclic(epochs=2), Warmup(OneCycle(), epochs=1)])
@pytest.mark.parametrize(
    "optimizer",
    [
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1),
        torch.optim.Adagrad([torch.zeros(1, requires_grad=True)], lr=0.1),
    ],
)
def test_cycling_the_momentum_of_an_optimizer_without_it_is_an_error(
    scheduler: Any, optimizer: torch.optim.Optimizer
) -> None:
    with pytest.raises(UserError, match=r"cycles momentum, but (SGD|Adagrad) has none here: set cycle_mom"):
        build_schedule(scheduler, optimizer, RUN_LENGTH)


def test_a_cosine_that_ends_early_warns_that_the_rate_rises_again() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    with pytest.warns(UserWarning, match=r"after T_max = 4 of 10 epochs the rate rises again"):
        build_schedule(functools.partial(lr_scheduler.CosineAnnealingLR, T_max=4), optimizer, RUN_LENGTH)
