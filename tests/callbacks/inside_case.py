"""Small fits for tests of callbacks: dropout, batch norm and shuffled data, in every precision that a CPU supports."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.optim import Optimizer

from datamodules import CropFlip, DigitsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.schedulers import OneCycle


class Network(nn.Module):
    """A convolution, batch norm, dropout, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * 36, 16)
        )
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.head(self.body(images).relu())
        return output


class Foreign(LightningModule):
    """A plain LightningModule: no `grad_norm`, no clipping of its own."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.net, self.fused = Network(), fused

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3, fused=self.fused)


def classifier(network: nn.Module | None = None, **options: Any) -> ImageClassifier:
    chosen: dict[str, Any] = {
        "optimizer": partial(torch.optim.SGD, lr=0.05, momentum=0.9),
        "scheduler": OneCycle(),
    } | options
    return ImageClassifier(network or Network(), **chosen)


def data(**options: Any) -> DigitsDataModule:
    defaults: dict[str, Any] = {"batch_size": 16, "eval_batch_size": 100, "augmentation": CropFlip(padding=1)}
    return DigitsDataModule(**(defaults | options))


def half_precision(init_scale: float = 2.0**24) -> MixedPrecision:
    """Return fp16 with a scaler; the default scale overflows in the first steps."""
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=init_scale))


def trainer_in(folder: Path, callbacks: Sequence[Callback] = (), **flags: Any) -> Trainer:
    options: dict[str, Any] = {"max_epochs": 2, "limit_train_batches": 10, "limit_val_batches": 2} | flags
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=options.pop("logger", None) or CSVLogger(folder, name="", version=""),
        log_every_n_steps=options.pop("log_every_n_steps", 4),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=options.pop("enable_checkpointing", False),
        callbacks=list(callbacks),
        **options,
    )


def fit(
    folder: Path,
    module: LightningModule | None = None,
    callbacks: Sequence[Callback] = (),
    batch_size: int = 16,
    make: Callable[[], LightningModule] | None = None,
    **flags: Any,
) -> LightningModule:
    """Fit new objects after seeding; return the trained module."""
    seed_everything(1, verbose=False)
    if module is None:
        module = (make or classifier)()
    trainer_in(folder, callbacks, **flags).fit(module, data(batch_size=batch_size))
    return module


def same_bits(one: LightningModule, other: LightningModule) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
