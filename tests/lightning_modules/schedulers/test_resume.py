"""A resumed run has the rates of the uninterrupted run; with more epochs it extends its schedule and prints so."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch.optim import lr_scheduler

from lightning_modules.schedulers import Cosine, OneCycle, Plateau, RunLength, StepDecay, Warmup, build_schedule
from tests.lightning_modules.schedulers.support import Rates, Scheduled, fit

LOSSES = [1.0, 1.0, 1.0, 0.5]
# Around the ends of epochs and of warmups, and between. Any step, without a trainer: tests/contracts/test_schedules.py.
STEPS = (1, 5, 9, 10, 11, 12, 13, 14, 15, 16, 20, 21, 29, 30, 35, 39)


class SaveEverywhere(Checkpoint):
    """Saves after every batch except the last of an epoch, and at the end of every epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if not trainer.is_last_batch:
            trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


@pytest.mark.parametrize(
    "scheduler",
    [
        Plateau(patience=0),
        Warmup(Plateau(patience=0), steps=15),
        Warmup(OneCycle(), epochs=1),
        functools.partial(lr_scheduler.StepLR, step_size=1),
        functools.partial(lr_scheduler.OneCycleLR, max_lr=0.1),
        Warmup(functools.partial(lr_scheduler.StepLR, step_size=1), steps=13),
    ],
    ids=["plateau", "warmup plateau", "warmup one cycle", "StepLR", "OneCycleLR", "warmup StepLR"],
)
def test_resumed_from_a_step_the_rates_are_the_same(scheduler: Any, tmp_path: Path) -> None:
    whole = Rates()
    fit(Scheduled(scheduler, losses=LOSSES), tmp_path, whole, SaveEverywhere(tmp_path), max_epochs=4)
    for step in STEPS:
        rest = Rates()
        checkpoint = str(tmp_path / f"{step}.ckpt")
        fit(Scheduled(scheduler, losses=LOSSES), tmp_path, rest, max_epochs=4, ckpt_path=checkpoint)
        assert (rest.lr, rest.momentum) == (whole.lr[step:], whole.momentum[step:]), step


@pytest.mark.parametrize("scheduler", [Cosine(), OneCycle(), functools.partial(lr_scheduler.OneCycleLR, max_lr=0.1)])
def test_more_epochs_extend_the_schedule_with_a_message(
    scheduler: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit(Scheduled(scheduler), tmp_path, SaveEverywhere(tmp_path), max_epochs=2)
    longer, rest = Rates(), Rates()
    fit(Scheduled(scheduler), tmp_path, longer, max_epochs=4)
    with caplog.at_level(logging.INFO, "lightning.pytorch.utilities.rank_zero"):
        fit(Scheduled(scheduler), tmp_path, rest, max_epochs=4, ckpt_path=str(tmp_path / "20.ckpt"))
    assert "saved in a run of 20 steps, now 40" in caplog.text
    assert rest.lr[1:] == pytest.approx(longer.lr[21:])
    assert len(rest.lr) == 20


def test_the_message_names_both_rates(caplog: pytest.LogCaptureFixture) -> None:
    def build(steps: int) -> tuple[torch.optim.Optimizer, Any]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        config = build_schedule(Cosine(), optimizer, RunLength(steps, steps / 10, 10))
        assert config is not None
        return optimizer, config["scheduler"]

    optimizer, scheduler = build(20)
    for _ in range(20):
        optimizer.step()
        scheduler.step()
    resumed, longer = build(40)
    resumed.load_state_dict(optimizer.state_dict())
    with caplog.at_level(logging.INFO, "lightning.pytorch.utilities.rank_zero"):
        longer.load_state_dict(scheduler.state_dict())
    assert "Cosine: saved in a run of 20 steps, now 40. The learning rate of step 20 goes from 0 to 0.5" in caplog.text
    assert resumed.param_groups[0]["lr"] == pytest.approx(0.5)


def test_the_same_length_prints_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(Scheduled(StepDecay(epochs=1)), tmp_path, SaveEverywhere(tmp_path), max_epochs=2)
    with caplog.at_level(logging.INFO, "lightning.pytorch.utilities.rank_zero"):
        fit(Scheduled(StepDecay(epochs=1)), tmp_path, max_epochs=2, ckpt_path=str(tmp_path / "13.ckpt"))
    assert "saved in a run" not in caplog.text
