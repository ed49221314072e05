"""Contract of every schedule: follow its formula, and continue from any step as if never interrupted.

Add a schedule with a line in SCHEDULES: how to build it, and an independent computation of the rate of each step, with
torch's class of the same kind or with the formula written out.
"""

from __future__ import annotations

import copy
import functools
import io
import math
from collections.abc import Callable
from inspect import isabstract
from typing import Any

import pytest
import torch
from torch.optim import Optimizer, lr_scheduler

from lightning_modules import schedulers
from lightning_modules.schedulers import (
    Combined,
    Constant,
    Cosine,
    Cyclic,
    ExponentialDecay,
    Milestones,
    OneCycle,
    Plateau,
    Polynomial,
    RunLength,
    ScheduleFactory,
    StableDecay,
    StepDecay,
    TorchSchedule,
    WarmRestarts,
    Warmup,
    build_schedule,
)

RUN_LENGTH = RunLength(steps=60, epochs=6, steps_per_epoch=10)
LOSSES = [1.0, 0.9, 0.9, 0.95, 0.9, 0.91]  # one validation at the end of each epoch
BASE = (0.1, 0.4)

Rates = Callable[[int], float]


def torch_rates(build: Callable[[Optimizer], Any], every: int = 1, steps: int = 60) -> Rates:
    """The rates of a torch scheduler that is stepped every so many optimizer steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    scheduler = build(optimizer)
    rates = []
    for step in range(1, steps + 1):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if step % every == 0:
            scheduler.step()
    return rates.__getitem__


def warm(rates: Rates, steps: int, start: float = 0.01) -> Rates:
    """Return the rates after a linear warm-up, by the formula."""
    return lambda step: rates(0) * (start + (1 - start) * step / steps) if step < steps else rates(step - steps)


def cosine(steps: int) -> Rates:
    return lambda step: 0.5 + 0.5 * math.cos(math.pi * step / steps)


def wsd(step: int) -> float:
    """Return the rates of six steps up, 42 constant and twelve down."""
    if step < 6:
        return 0.01 + 0.99 * step / 6
    return 1.0 if step < 48 else 1 - math.sqrt((step - 48) / 12)


def partial(kind: Any, **arguments: Any) -> Any:
    return functools.partial(kind, **arguments)


LINEAR = partial(lr_scheduler.LinearLR, start_factor=0.1, total_iters=6)
FALLING = partial(lr_scheduler.ExponentialLR, gamma=0.9)

SCHEDULES: dict[str, tuple[Any, Rates]] = {
    "one after the other": (
        Combined([LINEAR, FALLING], "step", milestones=[6]),
        torch_rates(
            lambda optimizer: lr_scheduler.SequentialLR(optimizer, [LINEAR(optimizer), FALLING(optimizer)], [6])
        ),
    ),
    "all at once, by epoch": (
        Combined([LINEAR, FALLING], "epoch"),
        torch_rates(lambda optimizer: lr_scheduler.ChainedScheduler([LINEAR(optimizer), FALLING(optimizer)]), every=10),
    ),
    "constant": (Constant(), lambda step: 1.0),
    "cosine": (Cosine(), torch_rates(partial(lr_scheduler.CosineAnnealingLR, T_max=60))),
    "cosine to a tenth": (
        Cosine(end_factor=0.1),
        torch_rates(partial(lr_scheduler.CosineAnnealingLR, T_max=60, eta_min=0.1)),
    ),
    "one cycle": (OneCycle(), torch_rates(partial(lr_scheduler.OneCycleLR, max_lr=1.0, total_steps=60))),
    "one cycle, linear": (
        OneCycle(pct_start=0.25, anneal_strategy="linear", div_factor=10.0, final_div_factor=100.0),
        torch_rates(
            partial(
                lr_scheduler.OneCycleLR,
                max_lr=1.0,
                total_steps=60,
                pct_start=0.25,
                anneal_strategy="linear",
                div_factor=10.0,
                final_div_factor=100.0,
            )
        ),
    ),
    "step decay": (StepDecay(epochs=2), torch_rates(partial(lr_scheduler.StepLR, step_size=2), every=10)),
    "step decay by a third": (StepDecay(fraction=1 / 3, gamma=0.5), lambda step: 0.5 ** (step // 20)),
    "milestones": (
        Milestones(epochs=[1, 4], gamma=0.3),
        torch_rates(partial(lr_scheduler.MultiStepLR, milestones=[1, 4], gamma=0.3), every=10),
    ),
    "milestones by steps": (Milestones(steps=[7, 31]), lambda step: 0.1 ** ((step >= 7) + (step >= 31))),
    "milestones by share": (Milestones(fractions=[0.5, 0.75]), lambda step: 0.1 ** ((step >= 30) + (step >= 45))),
    "exponential": (
        ExponentialDecay(gamma=0.8),
        torch_rates(partial(lr_scheduler.ExponentialLR, gamma=0.8), every=10),
    ),
    "exponential to an end": (
        ExponentialDecay(end_factor=0.01),
        torch_rates(partial(lr_scheduler.ExponentialLR, gamma=0.01 ** (1 / 60))),
    ),
    "polynomial": (Polynomial(power=2.0), torch_rates(partial(lr_scheduler.PolynomialLR, total_iters=60, power=2.0))),
    "straight line": (
        Polynomial(end_factor=0.2),
        torch_rates(partial(lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.2, total_iters=60)),
    ),
    "warm restarts": (
        WarmRestarts(epochs=1, multiplier=2.0),
        torch_rates(partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=10, T_mult=2)),
    ),
    "warm restarts by share": (WarmRestarts(fraction=0.25), lambda step: cosine(15)(step % 15)),
    "cyclic": (
        Cyclic(steps=20, low_factor=0.2, up=0.25),
        torch_rates(partial(lr_scheduler.CyclicLR, base_lr=0.2, max_lr=1.0, step_size_up=5, step_size_down=15)),
    ),
    "cyclic, halved": (
        Cyclic(fraction=1 / 6, mode="triangular2"),
        torch_rates(partial(lr_scheduler.CyclicLR, base_lr=0.1, max_lr=1.0, step_size_up=5, mode="triangular2")),
    ),
    "cyclic, fading": (
        Cyclic(epochs=1, mode="exp_range", gamma=0.97),
        torch_rates(
            partial(lr_scheduler.CyclicLR, base_lr=0.1, max_lr=1.0, step_size_up=5, mode="exp_range", gamma=0.97)
        ),
    ),
    "stable, then a line": (StableDecay(fraction=0.25), lambda step: min(1.0, (60 - step) / 15)),
    "stable, then a cosine": (
        StableDecay(steps=20, shape="cos", end_factor=0.1),
        lambda step: 1.0 if step < 40 else 0.1 + 0.9 * cosine(20)(step - 40),
    ),
    "wsd": (Warmup(StableDecay(fraction=0.2, shape="sqrt"), fraction=0.1), wsd),
    "plateau": (Plateau(patience=1), lambda step: 0.5 if step >= 40 else 1.0),
    "warmup + constant": (Warmup(Constant(), steps=7, start_factor=0.5), warm(lambda step: 1.0, 7, 0.5)),
    "warmup + cosine": (Warmup(Cosine(), epochs=1.5), warm(cosine(45), 15)),
    "warmup + one cycle": (
        Warmup(OneCycle(), steps=9),
        warm(torch_rates(partial(lr_scheduler.OneCycleLR, max_lr=1.0, total_steps=51), steps=51), 9),
    ),
    "warmup + step decay": (
        Warmup(StepDecay(epochs=2), epochs=1),
        lambda step: 0.01 + 0.099 * step if step < 10 else 0.1 ** (step // 20),
    ),
    "warmup + milestones": (
        Warmup(Milestones(epochs=[2, 4]), epochs=1),
        lambda step: 0.01 + 0.099 * step if step < 10 else 0.1 ** ((step >= 20) + (step >= 40)),
    ),
    "warmup + exponential": (Warmup(ExponentialDecay(gamma=0.8), steps=5), warm(lambda step: 0.8 ** (step // 10), 5)),
    "warmup + polynomial": (Warmup(Polynomial(), steps=10), warm(lambda step: 1 - step / 50, 10)),
    "warmup + warm restarts": (
        Warmup(WarmRestarts(steps=25), steps=10),
        warm(lambda step: cosine(25)(step % 25), 10),
    ),
    "warmup + cyclic": (
        Warmup(Cyclic(steps=10), steps=10),
        warm(torch_rates(partial(lr_scheduler.CyclicLR, base_lr=0.1, max_lr=1.0, step_size_up=5)), 10),
    ),
    "warmup + plateau": (
        Warmup(Plateau(patience=0), steps=15),
        warm(lambda step: 1.0 * 0.5 ** sum(step + 15 >= drop for drop in (30, 40, 50, 60)), 15),
    ),
    "torch StepLR": (
        partial(lr_scheduler.StepLR, step_size=2),
        torch_rates(partial(lr_scheduler.StepLR, step_size=2), every=10),
    ),
    "torch StepLR by step": (
        TorchSchedule(partial(lr_scheduler.StepLR, step_size=13), interval="step"),
        torch_rates(partial(lr_scheduler.StepLR, step_size=13)),
    ),
    "torch CyclicLR": (
        partial(lr_scheduler.CyclicLR, base_lr=0.2, max_lr=1.0, step_size_up=10, cycle_momentum=False),
        torch_rates(partial(lr_scheduler.CyclicLR, base_lr=0.2, max_lr=1.0, step_size_up=10)),
    ),
    "torch ReduceLROnPlateau": (
        partial(lr_scheduler.ReduceLROnPlateau, patience=1, factor=0.5),
        lambda step: 0.5 if step >= 40 else 1.0,
    ),
    "warmup + torch StepLR": (
        Warmup(partial(lr_scheduler.StepLR, step_size=2), epochs=2),
        warm(lambda step: 0.1 ** (step // 20), 20),
    ),
    "warmup + torch ExponentialLR": (
        Warmup(partial(lr_scheduler.ExponentialLR, gamma=0.5), steps=15),
        lambda step: 0.01 + 0.99 * step / 15 if step < 15 else 0.5 ** ((step // 10) - 1),
    ),
    "warmup + torch ReduceLROnPlateau": (
        Warmup(partial(lr_scheduler.ReduceLROnPlateau, patience=0, factor=0.5), steps=15),
        warm(lambda step: 0.5 ** sum(step + 15 >= drop for drop in (30, 40, 50, 60)), 15),
    ),
}
ABSOLUTE = {"torch CyclicLR"}  # takes its rates as arguments, not from the optimizer


def make(scheduler: Any) -> tuple[Optimizer, dict[str, Any]]:
    weights = [torch.zeros(1, requires_grad=True) for _ in BASE]
    groups = [{"params": [weight], "lr": lr} for weight, lr in zip(weights, BASE, strict=True)]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    config = build_schedule(copy.deepcopy(scheduler), optimizer, RUN_LENGTH)
    assert config is not None
    return optimizer, config


def advance(optimizer: Optimizer, config: dict[str, Any], step: int) -> None:
    """Step the schedule as a trainer does at the end of optimizer step `step` (from 0)."""
    scheduler = config["scheduler"]
    optimizer.step()
    end_of_epoch = (step + 1) % 10 == 0
    if config["interval"] == "step" or end_of_epoch:
        scheduler.step()
    if end_of_epoch and getattr(scheduler, "monitor", None):
        scheduler.observe(LOSSES[step // 10])


def groups(optimizer: Optimizer) -> list[tuple[float, float]]:
    return [(float(group["lr"]), float(group["momentum"])) for group in optimizer.param_groups]


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_step_has_the_rate_of_the_formula(name: str) -> None:
    scheduler, rates = SCHEDULES[name]
    optimizer, config = make(scheduler)
    for step in range(60):
        expected = [rates(step) * (1.0 if name in ABSOLUTE else base) for base in BASE]
        assert [lr for lr, _ in groups(optimizer)] == pytest.approx(expected, rel=1e-9, abs=1e-12), step
        advance(optimizer, config, step)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_saved_at_any_step_continues_identically(name: str) -> None:
    scheduler, _ = SCHEDULES[name]
    optimizer, config = make(scheduler)
    files, whole = [], []
    for step in range(60):
        file = io.BytesIO()
        torch.save({"optimizer": optimizer.state_dict(), "scheduler": config["scheduler"].state_dict()}, file)
        files.append(file)
        whole.append(groups(optimizer))
        advance(optimizer, config, step)
    for start, file in enumerate(files):
        optimizer, config = make(scheduler)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        optimizer.load_state_dict(saved["optimizer"])
        config["scheduler"].load_state_dict(saved["scheduler"])
        for step in range(start, 60):
            assert groups(optimizer) == whole[step], (start, step)
            advance(optimizer, config, step)


def test_every_schedule_factory_is_in_the_table() -> None:
    factories = {
        kind
        for name in schedulers.__all__
        if isinstance(kind := getattr(schedulers, name), type)
        and issubclass(kind, ScheduleFactory)
        and not isabstract(kind)
    }
    assert factories == {
        type(scheduler) for scheduler, _ in SCHEDULES.values() if isinstance(scheduler, ScheduleFactory)
    }
