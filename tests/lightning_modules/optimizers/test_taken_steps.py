"""Steps that a GradScaler skips are counted, and do not advance the schedule."""

from __future__ import annotations

import functools
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import MixedPrecision
from torch import nn

from lightning_modules.optimizers import TakenSteps
from lightning_modules.schedulers import Cosine, Plateau, Warmup
from tests.lightning_modules.schedulers.support import Rates, Scheduled, fit


def scaled(init_scale: float) -> MixedPrecision:
    """A plugin with its own scaler; a shared one would keep its scale for the next test."""
    return MixedPrecision("16-mixed", device="cpu", scaler=torch.amp.GradScaler("cpu", init_scale=init_scale))


class Moved(Callback):
    """Records for each step whether it changed the weights, as every step that is taken does."""

    def __init__(self) -> None:
        self.steps: list[bool] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.before = [parameter.detach().clone() for parameter in pl_module.parameters()]

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        now = pl_module.parameters()
        self.steps.append(any(not torch.equal(old, new) for old, new in zip(self.before, now, strict=True)))


def test_a_skipped_step_does_not_advance_the_schedule(tmp_path: Path) -> None:
    module, rates, moved = Scheduled(Cosine()), Rates(), Moved()
    trainer = fit(module, tmp_path, rates, moved, plugins=[scaled(2.0**24)])
    taken = sum(moved.steps)
    assert trainer.global_step == 20
    assert 0 < taken < 20
    assert module.taken_steps.skipped(trainer.global_step) == 20 - taken
    scheduler: Any = trainer.lr_scheduler_configs[0].scheduler
    assert scheduler.last_epoch == taken
    done = [0, *accumulate(moved.steps)][:20]
    assert rates.lr == pytest.approx([0.1 * Cosine().factor(step, module.run_length) for step in done])


def test_without_an_overflow_nothing_is_skipped(tmp_path: Path) -> None:
    module, rates = Scheduled(Warmup(Plateau(), steps=5)), Rates()
    trainer = fit(module, tmp_path, rates, plugins=[scaled(1.0)])
    assert module.taken_steps.skipped(trainer.global_step) == 0


def test_a_schedule_by_epoch_advances_although_steps_were_skipped(tmp_path: Path) -> None:
    rates = Rates()
    step_lr = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=1)
    fit(Scheduled(step_lr), tmp_path, rates, plugins=[scaled(2.0**18)], max_epochs=2)
    assert rates.lr == pytest.approx([0.1] * 10 + [0.01] * 10)


@pytest.mark.parametrize("fused", [False, True])
def test_a_fused_optimizer_that_skips_on_the_device_is_counted_too(fused: bool) -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weight], lr=0.1, fused=fused)
    steps, scaler = TakenSteps(optimizer), torch.amp.GradScaler("cpu", init_scale=2.0)
    advanced = []
    for gradient in (1.0, float("inf"), 1.0):
        scaler.scale(weight.sum()).backward()
        assert weight.grad is not None
        weight.grad.mul_(gradient)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        advanced.append(steps.advanced())
    assert advanced == [True, False, True]
    assert steps.skipped(attempts=3) == 1


def test_the_count_survives_a_resume() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    steps = TakenSteps(optimizer)
    optimizer.step()
    again = TakenSteps(torch.optim.SGD([weight], lr=0.1), taken=steps.taken)
    assert again.skipped(attempts=4) == 3
    assert not again.advanced()


def test_a_strategy_that_loads_a_checkpoint_late_counts_on_from_it() -> None:
    """As FSDP does: the optimizers exist when the checkpoint is loaded."""
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    steps = TakenSteps(optimizer)
    steps.restart(7)
    weight.grad = torch.ones(1)
    optimizer.step()
    assert steps.skipped(attempts=8) == 0
    assert steps.advanced()
