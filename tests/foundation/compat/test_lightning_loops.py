"""Private parts of Lightning's loops work as `foundation.compat.lightning_loops` expects."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel
from torch.utils.data import DataLoader

from foundation.compat.lightning_loops import (
    add_logged_sum,
    batch_from_iterator,
    drop_training_batches,
    forget_toggled,
    forget_workers,
    logged_metrics_of_epoch,
    logged_sums,
    restart_training_batches,
    training_loaders,
)

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "logger": False,
    "max_epochs": 1,
    "limit_val_batches": 0,
}


class Numbers(BoringModel):
    """Counts the batches by their content."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[int] = []

    def train_dataloader(self) -> Any:
        numbers: Any = [torch.full((32,), float(number)) for number in range(6)]
        return DataLoader(numbers, 1)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.given.append(int(batch[0, 0]))
        self.log("mean", batch[0, 0], on_step=True, on_epoch=True, batch_size=2)
        self.log("most", batch[0, 0], on_step=False, on_epoch=True, reduce_fx="max", batch_size=2)
        return super().training_step(batch, batch_idx)


class Look(Callback):
    """Does something at the start of training, and something after the second batch."""

    def __init__(self, start: Any = None, second: Any = None) -> None:
        self.start, self.second = start, second
        self.found: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.start:
            self.start(trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if self.second and args[-1] == 1:
            self.found = self.second(trainer)


def fit(module: LightningModule, look: Look) -> None:
    Trainer(callbacks=[look], **QUIET).fit(module)


def test_batches_are_dropped_and_begun_anew(tmp_path: Path) -> None:
    module = Numbers()
    fit(module, Look(lambda trainer: drop_training_batches(trainer, 2)))
    assert module.given == [2, 3, 4, 5]
    module = Numbers()

    def start(trainer: Trainer) -> None:
        drop_training_batches(trainer, 3)
        restart_training_batches(trainer)

    fit(module, Look(start))
    assert module.given == [0, 1, 2, 3, 4, 5]


def test_the_loaders_are_those_of_the_fit() -> None:
    module, look = Numbers(), Look(second=lambda trainer: (training_loaders(trainer), trainer.train_dataloader))
    fit(module, look)
    assert look.found[0] == [look.found[1]]
    assert training_loaders(Trainer(**QUIET)) == []


def test_sums_are_read_and_added_to() -> None:
    def second(trainer: Trainer) -> Any:
        sums = logged_sums(trainer)
        assert all(add_logged_sum(trainer, key, each) for key, each in sums.items())
        assert not add_logged_sum(trainer, "unknown", next(iter(sums.values())))
        return sums

    module, look = Numbers(), Look(second=second)
    trainer = Trainer(callbacks=[look], **QUIET)
    trainer.fit(module)
    found = {each.name: each for each in look.found.values()}
    mean, most = found["mean"], found["most"]
    assert (mean.epoch_name, mean.reduction, mean.value, mean.weight, mean.mean) == (
        "mean_epoch",
        "mean",
        2.0,
        4.0,
        0.5,
    )
    assert (most.epoch_name, most.reduction, most.mean) == ("most", "max", 1.0)
    # (0 + 1) twice, then 2 to 5, each of weight 2
    assert float(trainer.callback_metrics["mean_epoch"]) == pytest.approx((2 * 1 + 14) / 8)
    assert logged_metrics_of_epoch(trainer) == []


def test_the_batch_of_a_step_that_takes_the_iterator() -> None:
    class Takes(Numbers):
        def training_step(self, dataloader_iter: Any) -> Any:  # type: ignore[override]
            batch, _, _ = next(dataloader_iter)
            self.last = batch
            return self(batch).sum()

    module, look = Takes(), Look(second=batch_from_iterator)
    fit(module, look)
    assert look.found is not None
    look = Look(second=batch_from_iterator)
    fit(Numbers(), look)
    assert look.found is None


def test_workers_and_toggled_parameters_are_forgotten() -> None:
    data: Any = torch.zeros(4)
    loader: DataLoader[Any] = DataLoader(data, 2, num_workers=1, persistent_workers=True)
    first = iter(loader)
    assert iter(loader) is first
    forget_workers(loader)
    assert iter(loader) is not first
    module = BoringModel()
    module._param_requires_grad_state = {"x": True}
    forget_toggled(module)
    assert module._param_requires_grad_state == {}
