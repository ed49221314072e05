"""A small fit with everything that a resume can get wrong: dropout, batch norm, augmentation, metric sums, schedules."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from callbacks import DurableCheckpoint, DurableCheckpointIO, ExactResume
from datamodules import CropFlip, DigitsDataModule
from lightning_modules.schedulers import Plateau, RunLength, observe_plateaus


class Case(LightningModule):
    """Convolution, batch norm and dropout; one schedule per step, one per epoch, one by validation."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * 36, 10)
        )
        self.train_loss, self.train_accuracy = MeanMetric(), MulticlassAccuracy(10)
        self.val_loss = MeanMetric()

    def loss_of(self, batch: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        logits = self.net(batch[0])
        return nn.functional.cross_entropy(logits, batch[1]), logits

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        loss, logits = self.loss_of(batch)
        self.train_loss.update(loss.detach())
        self.train_accuracy.update(logits.detach(), batch[1])
        self.log("step_loss", loss)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log_dict({"train/loss": self.train_loss.compute(), "train/accuracy": self.train_accuracy.compute()})
        self.train_loss.reset()
        self.train_accuracy.reset()

    def validation_step(self, batch: Sequence[Tensor], batch_idx: int) -> None:
        self.val_loss.update(self.loss_of(batch)[0])

    def on_validation_epoch_end(self) -> None:
        self.log("val/loss", self.val_loss.compute())
        self.val_loss.reset()
        observe_plateaus(self)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
        run_length = RunLength.from_trainer(self.trainer)
        assert run_length.steps is not None
        schedules = [
            {
                "scheduler": torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=run_length.steps),
                "interval": "step",
            },
            {"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.9), "interval": "epoch"},
            Plateau(factor=0.7, patience=0, threshold=0.5).build(optimizer, run_length),
        ]
        return [optimizer], schedules


class CopyEverySave(DurableCheckpoint):
    """Keeps a copy of each checkpoint, named by epoch, step and the kind of moment."""

    def __init__(self, keep: Path, **options: Any) -> None:
        super().__init__(**options)
        self.keep = keep

    def save(self, trainer: Trainer, rank: bool = False, only_if_best: bool = False) -> None:
        before = self.timing.saves
        super().save(trainer, rank, only_if_best)
        if self.timing.saves != before:
            kind = "end" if rank else "best" if only_if_best else "step"
            self.keep.mkdir(exist_ok=True)
            content = (self.folder / "last.ckpt").read_bytes()
            (self.keep / f"{trainer.current_epoch}-{trainer.global_step:03d}-{kind}.ckpt").write_bytes(content)


def trainer_of(folder: Path, checkpoint: Callback, extra: Sequence[Callback] = (), **flags: Any) -> Trainer:
    options: dict[str, Any] = {"max_epochs": 3, "limit_train_batches": 7, "limit_val_batches": 2} | flags
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=CSVLogger(folder, name="", version=""),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        callbacks=[*extra, ExactResume(), checkpoint],
        **options,
    )


def data() -> DigitsDataModule:
    return DigitsDataModule(batch_size=16, eval_batch_size=40, augmentation=CropFlip(padding=1), seed=3)


def fit(
    folder: Path, seed: int, checkpoint: DurableCheckpoint, resume: Path | None = None, **flags: Any
) -> dict[str, Any]:
    """Fit from fresh objects; returns the final checkpoint."""
    torch.manual_seed(seed)
    module = Case()
    trainer = trainer_of(folder, checkpoint, **flags)
    trainer.fit(module, data(), ckpt_path=str(resume) if resume else None)
    return DurableCheckpointIO().load_checkpoint(folder / "checkpoints" / "last.ckpt")
