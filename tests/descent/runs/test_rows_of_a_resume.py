"""The rows of `metrics.csv` after a resume are those of an uninterrupted run, whoever steps the optimizers."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from callbacks import DurableCheckpoint, ExactResume
from callbacks.resuming.unlogged_row import next_logged_step
from descent.runs.loggers import RunCSVLogger


class ByHand(LightningModule):
    """Steps each of its optimizers after every few batches."""

    automatic_optimization = False

    def __init__(self, optimizers: int, every: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(2, 1) for _ in range(optimizers))
        self.every = every

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        loss: Any = sum(layer(batch[0]).square().mean() for layer in self.layers)
        self.manual_backward(loss)
        if (batch_idx + 1) % self.every == 0:
            found: Any = self.optimizers()
            for optimizer in found if isinstance(found, list) else [found]:
                optimizer.step()
                optimizer.zero_grad()
        self.log("train/loss", loss)
        self.log("epoch_loss", loss, on_step=False, on_epoch=True)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", sum(layer(batch[0]).square().mean() for layer in self.layers))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD(layer.parameters(), lr=0.01) for layer in self.layers]


class Stops(Callback):
    """Ends the process's fit as a crash would, at a batch of an epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = (epoch, batch)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == self.at:
            raise InterruptedError


def loader() -> DataLoader[Any]:
    """Return equal batches: this loader does not know where it was interrupted."""
    return DataLoader(TensorDataset(torch.ones(16, 2)), batch_size=2)


def fit(folder: Path, module: LightningModule, every_steps: int, *added: Callback, resumed: bool = False) -> None:
    last = folder / "checkpoints" / "last.ckpt"
    logger = RunCSVLogger(folder, next_logged_step(last) if resumed else None)
    saver = DurableCheckpoint(monitor=None, every_n_train_steps=every_steps)
    trainer = Trainer(
        logger=logger, callbacks=[ExactResume(0), saver, *added], accelerator="cpu", max_epochs=2, log_every_n_steps=2,
        val_check_interval=4, num_sanity_val_steps=0, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader(), loader(), ckpt_path=last if resumed else None)


def rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows; the mean over an interrupted epoch of a value that is logged as a number is not restored."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{n: "" if n == "epoch_loss" else v for n, v in row.items() if v} for row in csv.DictReader(file)]


@pytest.mark.parametrize(("optimizers", "every", "steps"), [(1, 1, 3), (2, 1, 6), (3, 1, 3), (1, 3, 1), (2, 3, 2)])
@pytest.mark.parametrize("stop", [(0, 7), (1, 1), (1, 6)])
def test_rows(tmp_path: Path, optimizers: int, every: int, steps: int, stop: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module = ByHand(optimizers, every)
    start = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    fit(tmp_path / "whole", module, steps)
    cut = ByHand(optimizers, every)
    cut.load_state_dict(start)
    with pytest.raises(InterruptedError):
        fit(tmp_path / "cut", cut, steps, Stops(*stop))
    fit(tmp_path / "cut", ByHand(optimizers, every), steps, resumed=True)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert len(rows(tmp_path / "whole")) == 8 + 4 + 2
