"""Batch size and epochs are planned from the number of training images, unless they are given."""

from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule

from datamodules.memory.baseline import accuracy_of_one_answer
from datamodules.memory.steps import planned_batch_size, planned_epochs
from descent.training.trainer import Trainer
from tests.datamodules.support import MadeUp, Recorder

QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "num_sanity_val_steps": 0, "limit_train_batches": 1, "limit_val_batches": 0,
}  # fmt: skip


def fitted(data: MadeUp, module: LightningModule | None = None, **flags: Any) -> Trainer:
    trainer = Trainer(**(QUIET | flags))
    trainer.fit(module or Recorder(), datamodule=data)
    return trainer


@pytest.mark.parametrize("samples", [1, 7, 14, 43, 160, 258, 1440, 2560, 10**6])
def test_a_planned_run_has_enough_steps(samples: int) -> None:
    size = planned_batch_size(samples)
    steps = samples // size
    assert 1 <= size <= min(128, samples)
    assert steps >= 20 or size <= 8
    assert steps * planned_epochs(steps) >= 300
    assert planned_epochs(steps) >= 20


def test_both_are_planned_and_said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("datamodules.memory.steps.rank_zero_info", said.append)
    data = MadeUp(train=100)
    trainer = fitted(data)
    assert (data.batch_size, trainer.max_epochs) == (8, planned_epochs(11))
    assert trainer.global_step == planned_epochs(11)
    assert len(said) == 1
    assert "90 training images: batches of 8 (data.batch_size) and 28 epochs" in said[0]


def test_given_values_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("datamodules.memory.steps.rank_zero_info", said.append)
    data = MadeUp(train=100, batch_size=45)
    assert fitted(data, max_epochs=2).max_epochs == 2
    assert data.batch_size == 45
    assert not said
    assert fitted(MadeUp(train=100), max_steps=3).global_step == 3, "max_steps is a limit too"


def test_one_given_value_leaves_the_other() -> None:
    assert fitted(MadeUp(train=100, batch_size=30)).max_epochs == 100
    data = MadeUp(train=1000)
    fitted(data, max_epochs=1)
    assert data.batch_size == 45


def test_accumulated_batches_count_as_one_step() -> None:
    assert fitted(MadeUp(train=100, batch_size=15), accumulate_grad_batches=3).max_epochs == 150


def test_a_batch_size_that_is_set_later_is_kept() -> None:
    data = MadeUp(train=100)
    data.setup("fit")
    data.batch_size = 33
    assert (data.batch_size, data.plans_batch_size) == (33, False)


def test_other_data_trains_as_long_as_in_lightning() -> None:
    trainer = Trainer(**QUIET)
    assert (trainer.max_epochs, trainer.plans_epochs) == (1000, True)
    assert not Trainer(max_time="00:00:01:00", **QUIET).plans_epochs


def test_plain_training_batches_are_the_same_at_each_call() -> None:
    data = MadeUp(train=600)
    data.setup("fit")
    first, again = (torch.cat(list(data.plain_training_batches(300, torch.device("cpu")))) for _ in range(2))
    assert len(first) == 300
    assert torch.equal(first, again)
    assert len(torch.cat(list(data.plain_training_batches(10**6, torch.device("cpu"))))) == 540


def test_accuracy_of_one_answer() -> None:
    labels = torch.tensor([[1, 0], [1, 0], [1, 1]])
    found = accuracy_of_one_answer(labels, ["a", "b"])
    assert found is not None
    assert found.accuracy == pytest.approx(5 / 6)
    masks = torch.tensor([[[0, 1], [1, 255]]], dtype=torch.uint8)
    assert str(accuracy_of_one_answer(masks, ["a", "b"])) == "the most common class (b) would give 0.6667"
    assert accuracy_of_one_answer(torch.tensor([0.5, 1.5]), ["number"]) is None
