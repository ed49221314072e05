"""Tasks with their smallest networks and data."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from datamodules import (
    BreastCancerDataModule,
    DiabetesDataModule,
    ImageDataModule,
    ShapeLabelsDataModule,
    ShapeMasksDataModule,
)
from lightning_modules import BinaryClassifier, MultilabelClassifier, Regressor, Segmenter
from lightning_modules.losses import DiceLoss
from lightning_modules.networks import MLP, SmallCNN, UNet

SGD = partial(torch.optim.SGD, lr=0.05)

TASKS: list[tuple[Callable[..., LightningModule], nn.Module, ImageDataModule]] = [
    (BinaryClassifier, MLP(2, 30), BreastCancerDataModule(batch_size=32)),
    (MultilabelClassifier, SmallCNN(3, 3, 4), ShapeLabelsDataModule(pictures=64, size=16, batch_size=16)),
    (Regressor, MLP(1, 10), DiabetesDataModule(batch_size=32)),
    (Segmenter, UNet(4, 3, 4, 2), ShapeMasksDataModule(pictures=64, size=16, batch_size=16)),
    (
        partial(Segmenter, loss=DiceLoss(mode="binary")),
        UNet(2, 3, 4, 2, outputs=1),
        ShapeMasksDataModule(pictures=64, size=16, batch_size=16, foreground=True),
    ),
]


def quiet(folder: Path, **options: Any) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
