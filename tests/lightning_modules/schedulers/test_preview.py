"""A preview equals what the trainer does, step by step."""

import functools
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from lightning_modules.schedulers import Cosine, OneCycle, Plateau, RunLength, Warmup, build_schedule
from lightning_modules.schedulers.preview import preview
from lightning_modules.schedulers.validations import validations_of
from tests.lightning_modules.schedulers.support import Rates, Scheduled, fit

LOSSES = [1.0, 1.0, 0.9, 0.95, 0.96, 0.97, 0.98, 0.99, *[1.0] * 20]


LENGTHS: list[dict[str, Any]] = [
    {"max_epochs": 4},
    {"max_epochs": 4, "accumulate_grad_batches": 3},
    {"max_epochs": 4, "val_check_interval": 0.25, "accumulate_grad_batches": 4, "max_steps": 8},
]
VALIDATIONS: list[dict[str, Any]] = [
    {"max_epochs": 4, "check_val_every_n_epoch": 2},
    {"max_epochs": 4, "val_check_interval": 5},
    {"max_epochs": 6, "val_check_interval": 15, "check_val_every_n_epoch": None},
]
BY_LENGTH = [
    None, OneCycle(), Warmup(Cosine(), epochs=1), functools.partial(lr_scheduler.StepLR, step_size=1),
]  # fmt: skip
BY_VALIDATION = [
    Plateau(patience=1), Warmup(Plateau(patience=0), steps=7),
    functools.partial(lr_scheduler.ReduceLROnPlateau, patience=0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("scheduler", "options"),
    [*product(BY_LENGTH, LENGTHS), *product(BY_VALIDATION, LENGTHS + VALIDATIONS)],
)
def test_the_preview_equals_the_run(scheduler: Any, options: dict[str, Any], tmp_path: Path) -> None:
    module, rates = Scheduled(scheduler, losses=LOSSES), Rates()
    trainer = fit(module, tmp_path, rates, **options)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    validations = validations_of(trainer)
    assert validations is not None
    assert len(validations) == int(module.validations)
    config = build_schedule(scheduler, optimizer, module.run_length)
    seen = preview(optimizer, config, module.run_length, validations, LOSSES).groups["0"]
    assert seen["lr"] == rates.lr
    assert seen["momentum"] == rates.momentum
    assert set(seen["weight_decay"]) == {0.0}


def test_lightnings_own_plateau_is_previewed_too() -> None:
    optimizer = torch.optim.Adagrad([torch.zeros(1, requires_grad=True)], lr=0.1)
    config = {"scheduler": lr_scheduler.ReduceLROnPlateau(optimizer, patience=0), "monitor": "val/loss"}
    seen = preview(optimizer, config, RunLength(4, 4, 1), [1, 2, 3, 4], [1.0, 1.0])
    assert seen.groups["0"]["lr"] == pytest.approx([0.1, 0.1, 0.01, 0.01])
    assert seen.observed == 2
    assert "momentum" not in seen.groups["0"]
