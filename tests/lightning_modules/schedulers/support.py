"""A small module and data loader for schedule tests with a real Trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules.optimizers import TakenSteps
from lightning_modules.schedulers import RunLength, ScheduleFactory, build_schedule, check_monitor, observe_plateaus


class Scheduled(LightningModule):
    """Linear regression that uses a schedule as our modules do."""

    def __init__(
        self, scheduler: ScheduleFactory | Callable[..., Any] | None, lr: float = 0.1, losses: list[float] | None = None
    ) -> None:
        super().__init__()
        self.net = nn.Linear(4, 1)
        self.validations: Tensor
        self.scheduler = scheduler
        self.lr = lr
        self.losses = losses
        self.register_buffer("validations", torch.tensor(0))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)
        self.taken_steps = TakenSteps(optimizer)
        self.run_length = RunLength.from_trainer(self.trainer)
        config = build_schedule(self.scheduler, optimizer, self.run_length)
        return optimizer if config is None else {"optimizer": optimizer, "lr_scheduler": config}

    def on_train_start(self) -> None:
        check_monitor(self.trainer)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if self.taken_steps.advanced():
            super().lr_scheduler_step(scheduler, metric)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        return nn.functional.mse_loss(self.net(x), y)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        x, y = batch
        self.val_loss = nn.functional.mse_loss(self.net(x), y)

    def on_validation_epoch_end(self) -> None:
        value = self.val_loss
        if self.losses is not None and not self.trainer.sanity_checking:
            value = torch.tensor(self.losses[int(self.validations)])
            self.validations += 1
        self.log("val/loss", value)
        observe_plateaus(self)

    def on_train_epoch_end(self) -> None:
        self.log("train/loss", self.val_loss if hasattr(self, "val_loss") else torch.tensor(1.0))
        observe_plateaus(self)


class Rates(Callback):
    """Writes down the learning rate and the momentum of every optimizer step."""

    def __init__(self) -> None:
        self.lr: list[float] = []
        self.momentum: list[float] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        self.lr.append(float(optimizer.param_groups[0]["lr"]))
        self.momentum.append(float(optimizer.param_groups[0]["momentum"]))


def loader(samples: int = 40, batch_size: int = 4) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(samples, 4, generator=generator)
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=batch_size)


def fit(
    module: LightningModule, tmp_path: Path, *callbacks: Callback, ckpt_path: str | None = None, **options: Any
) -> Trainer:
    """Fit on ten batches an epoch, and return the trainer."""
    settings: dict[str, Any] = {
        "max_epochs": 2,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": tmp_path,
    }
    trainer = Trainer(**settings | options, callbacks=list(callbacks))
    trainer.fit(module, loader(), loader(8), ckpt_path=ckpt_path)
    return trainer
