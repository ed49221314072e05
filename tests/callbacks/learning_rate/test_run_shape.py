"""The schedule of a run, compressed, and its length."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from callbacks import find_lr
from callbacks.learning_rate.run_shape import RunShape, run_shape, run_steps
from lightning_modules.schedulers import Cosine, OneCycle, Plateau, StepDecay, Warmup
from tests.callbacks.inside_case import classifier, data
from tests.callbacks.learning_rate.finder_case import SHORT, Grouped


def shape(scheduler: Any, steps: int = 400) -> RunShape:
    return run_shape(classifier(nn.Linear(2, 2), scheduler=scheduler), steps, 40, None)


def test_a_short_run_has_the_schedule_of_the_whole() -> None:
    rates = shape(Warmup(Cosine(), fraction=0.1)).rates(0.5, 20)
    assert rates.argmax() == 2
    assert rates.max() == pytest.approx(0.5)
    assert rates[-1] < 0.05
    decay = shape(StepDecay(epochs=5, gamma=0.1)).rates(1.0, 20)
    assert decay.tolist() == pytest.approx([1.0] * 10 + [0.1] * 10)
    assert shape(OneCycle(), steps=123_456).rates(1.0, 30).max() == pytest.approx(1.0, rel=0.02)


def test_torchs_schedules_and_constant_ones() -> None:
    torchs = partial(torch.optim.lr_scheduler.StepLR, step_size=5, gamma=0.1)
    assert shape(torchs).rates(1.0, 20).tolist() == pytest.approx([1.0] * 10 + [0.1] * 10)
    for scheduler in (None, Plateau()):
        assert shape(scheduler).rates(0.3, 5).tolist() == [0.3] * 5


def test_a_warmup_in_epochs_needs_the_length_of_an_epoch() -> None:
    module = classifier(nn.Linear(2, 2), scheduler=Warmup(Cosine(), epochs=1))
    assert run_shape(module, 400, 40, None).rates(1.0, 10).argmax() == 1
    assert run_shape(module, 400, float("inf"), None).factors == []


@pytest.mark.parametrize(
    ("flags", "steps"),
    [
        ({"max_epochs": 3}, 30),
        ({"max_epochs": 3, "accumulate_grad_batches": 4}, 9),
        ({"max_steps": 12}, 12),
        ({"max_epochs": 3, "max_steps": 12}, 12),
        ({"max_epochs": -1}, None),
    ],
)
def test_the_length_is_the_trainers(flags: dict[str, Any], steps: int | None) -> None:
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, **flags)
    assert run_steps(trainer, 10.0) == steps
    assert run_steps(None, 10.0) is None


def test_the_schedule_of_a_plain_module_is_replayed() -> None:
    module: LightningModule = Grouped(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, [0.01, 0.1], total_steps=200))
    search = find_lr(module, data(batch_size=64), accelerator="cpu", run_steps=200, **SHORT)
    factors = np.asarray(search.shape.factors)
    assert factors.max() == 1
    assert 0.25 < factors.argmax() / len(factors) < 0.35
    assert factors[-1] < 0.01
