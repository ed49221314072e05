"""Schedules in a real Trainer: lengths, plateaus, monitors."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.cli import ReduceLROnPlateau
from torch.optim import lr_scheduler

from foundation.errors import UserError
from lightning_modules.schedulers import Cosine, OneCycle, Plateau, RunLength, Warmup, build_schedule
from tests.lightning_modules.schedulers.support import Rates, Scheduled, fit


@pytest.mark.parametrize(
    ("options", "steps", "per_epoch"),
    [
        ({"max_epochs": 3}, 30, 10),
        ({"max_epochs": 3, "accumulate_grad_batches": 3}, 12, 4),
        ({"max_epochs": 3, "limit_train_batches": 7}, 21, 7),
        ({"max_epochs": 3, "limit_train_batches": 0.5, "accumulate_grad_batches": 2}, 9, 3),
        ({"max_epochs": 3, "max_steps": 25}, 25, 10),
        ({"max_epochs": -1, "max_steps": 25}, 25, 10),
    ],
)
def test_the_run_length_is_the_number_of_steps_taken(
    options: dict[str, Any], steps: int, per_epoch: int, tmp_path: Path
) -> None:
    module, rates = Scheduled(Cosine()), Rates()
    fit(module, tmp_path, rates, **options)
    assert (module.run_length.steps, module.run_length.steps_per_epoch) == (steps, per_epoch)
    expected = [0.05 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)]
    assert rates.lr == pytest.approx(expected)


def test_the_run_length_follows_an_accumulation_plan(tmp_path: Path) -> None:
    module, rates = Scheduled(Cosine()), Rates()
    fit(module, tmp_path, rates, GradientAccumulationScheduler({0: 1, 1: 3, 2: 5}), max_epochs=4)
    assert module.run_length == RunLength(10 + 4 + 2 + 2, 4, None)
    assert rates.lr == pytest.approx([0.05 * (1 + math.cos(math.pi * step / 18)) for step in range(18)])


def test_a_run_without_an_end_is_an_error_if_the_length_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cosine needs the length of the run.*trainer\.max_epochs"):
        fit(Scheduled(Cosine()), tmp_path, max_epochs=-1)


def test_a_torch_class_gets_its_missing_length(tmp_path: Path) -> None:
    ours, theirs = Rates(), Rates()
    fit(Scheduled(OneCycle()), tmp_path, ours)
    fit(Scheduled(functools.partial(lr_scheduler.OneCycleLR, max_lr=0.1)), tmp_path, theirs)
    assert ours.lr == pytest.approx(theirs.lr)
    assert ours.momentum == pytest.approx(theirs.momentum)
    assert len(theirs.lr) == 20


def test_a_torch_class_by_epoch_steps_by_epoch(tmp_path: Path) -> None:
    rates = Rates()
    fit(Scheduled(functools.partial(lr_scheduler.StepLR, step_size=1)), tmp_path, rates)
    assert rates.lr == pytest.approx([0.1] * 10 + [0.01] * 10)


LESSON = [1.0, 0.9, 0.85, 0.8, 0.78, 0.77, 0.76, 0.76, 0.76, 0.76, 0.76, 0.76, 0.75]


@pytest.mark.parametrize(
    ("scheduler", "drops"),
    [
        (Plateau(patience=10), []),
        (Plateau(patience=3), [11]),  # 0.76 first at epoch 7; epochs 8 to 11 do not improve: four, more than patience
        (functools.partial(lr_scheduler.ReduceLROnPlateau, patience=3, factor=0.5), [11]),
        (functools.partial(ReduceLROnPlateau, monitor="val/loss", patience=3, factor=0.5), [11]),
    ],
)
def test_thirteen_losses_of_the_course(scheduler: Any, drops: list[int], tmp_path: Path) -> None:
    rates = Rates()
    fit(Scheduled(scheduler, losses=list(LESSON)), tmp_path, rates, max_epochs=13)
    by_epoch = rates.lr[::10]
    assert by_epoch == [0.1 * 0.5 ** sum(drop <= epoch for drop in drops) for epoch in range(13)]


@pytest.mark.parametrize(
    "options",
    [
        {"val_check_interval": 5, "accumulate_grad_batches": 2, "max_epochs": 2},
        {"check_val_every_n_epoch": 2, "max_epochs": 8},
        {"check_val_every_n_epoch": None, "val_check_interval": 15, "max_epochs": 6},
    ],
)
def test_each_validation_counts_once(options: dict[str, Any], tmp_path: Path) -> None:
    module = Scheduled(Plateau(patience=1), losses=[1.0, 1.0, 1.0, 1.0])
    trainer = fit(module, tmp_path, **options)
    assert int(module.validations) == 4
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0.05
    plateau: Any = trainer.lr_scheduler_configs[0].scheduler
    assert plateau.plateau.num_bad_epochs == 1


def test_warmup_before_a_plateau(tmp_path: Path) -> None:
    rates = Rates()
    scheduler = Warmup(Plateau(patience=0), steps=15, start_factor=0.1)
    fit(Scheduled(scheduler, losses=[1.0, 1.0, 1.0, 1.0]), tmp_path, rates, max_epochs=4)
    warm = [0.1 * (0.1 + 0.9 * step / 15) for step in range(15)]
    assert rates.lr == pytest.approx(warm + [0.1] * 15 + [0.05] * 10)


def test_an_unlogged_monitor_stops_the_run_at_the_sanity_check(tmp_path: Path) -> None:
    module, rates = Scheduled(Plateau(monitor="val/los", mode="min")), Rates()
    with pytest.raises(UserError, match=r"'val/los', which is not logged\. Did you mean 'val/loss'\?"):
        fit(module, tmp_path, rates)
    assert rates.lr == []


def test_a_plateau_without_validation_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"monitors 'val/loss', but this run does not validate"):
        fit(Scheduled(Plateau()), tmp_path, limit_val_batches=0)


def test_a_run_that_ends_before_its_first_validation_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not validate.*trainer\.check_val_every_n_epoch below"):
        fit(Scheduled(Plateau()), tmp_path, check_val_every_n_epoch=5, max_epochs=3)


@pytest.mark.parametrize(
    ("monitor", "mode", "message"),
    [
        (
            "val/accuracy",
            "min",
            r"'val/accuracy' with mode min, but a larger accuracy is better: set mode: max",
        ),
        ("val/loss", "max", r"'val/loss' with mode max, but a smaller loss is better: set mode: min"),
    ],
)
def test_a_wrong_mode_is_an_error(monitor: str, mode: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Plateau(monitor=monitor, mode=mode)
    Plateau(monitor="val/elbo", mode=mode)  # unknown: the user knows best
    assert Plateau(monitor=monitor).options["mode"] != mode


def test_a_patience_longer_than_the_run_gives_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    fit(Scheduled(Plateau(patience=1)), tmp_path, max_epochs=3)
    assert not [warning for warning in recwarn if "can never reduce" in str(warning.message)]
    with pytest.warns(UserWarning, match=r"patience 10 that takes 12 values of 'val/loss', and the run has 3\."):
        fit(Scheduled(Warmup(Plateau(patience=10), steps=3)), tmp_path, max_epochs=3)


def test_a_plateau_on_a_training_value_needs_no_validation(tmp_path: Path) -> None:
    rates = Rates()
    fit(Scheduled(Plateau(monitor="train/loss", patience=0)), tmp_path, rates, limit_val_batches=0, max_epochs=3)
    assert rates.lr[::10] == [0.1, 0.1, 0.05]


def test_the_rates_of_several_groups_keep_their_ratio() -> None:
    weights = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": weights[:1], "lr": 0.1}, {"params": weights[1:], "lr": 0.4}])
    config = build_schedule(Warmup(Cosine(), steps=3), optimizer, RunLength(10, 1, 10))
    assert config is not None
    for _ in range(9):
        optimizer.step()
        config["scheduler"].step()
        low, high = (group["lr"] for group in optimizer.param_groups)
        assert high == pytest.approx(4 * low)


@pytest.mark.parametrize(("mode", "sign"), [("min", -1.0), ("max", 1.0), ("max", -1.0), ("min", 1.0)])
def test_a_plateau_reduces_the_rate_for_values_of_any_sign(mode: Any, sign: float) -> None:
    """Torch's relative threshold takes the same negative value for an improvement."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    run_length = RunLength(steps=9, epochs=9, steps_per_epoch=1)
    schedule = Plateau("val/score", mode=mode, patience=0, threshold=0.01).build(optimizer, run_length)["scheduler"]
    better = 1.0 if mode == "max" else -1.0
    for value in (sign, sign + 0.02 * better):  # by more than the threshold
        schedule.observe(value)
    assert optimizer.param_groups[0]["lr"] == 0.1
    for value in (sign + 0.02 * better, sign + 0.025 * better):  # by less
        schedule.observe(value)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.025)
