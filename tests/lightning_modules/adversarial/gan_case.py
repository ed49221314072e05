"""A small GAN, its data and its trainer."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from callbacks import DurableCheckpoint
from datamodules import DigitsDataModule
from lightning_modules import GAN
from lightning_modules.networks import DCGANDiscriminator, DCGANGenerator

ADAM = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.999), foreach=False)

SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9, foreach=False)


def made(**options: Any) -> GAN:
    torch.manual_seed(0)
    generator = DCGANGenerator(channels=1, size=8, width=4, latent_size=8)
    discriminator = DCGANDiscriminator(channels=1, size=8, width=4)
    arguments: dict[str, Any] = {
        "generator_optimizer": ADAM,
        "discriminator_optimizer": SGD,
        "channels_last": False,
    } | options
    return GAN(generator, discriminator, **arguments)


def data(**options: Any) -> DigitsDataModule:
    return DigitsDataModule(batch_size=16, eval_batch_size=100, seed=3, mean=[0.5], std=[0.5], **options)


class Batches(Callback):
    """Reseeds before each batch and keeps it."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(1000 + trainer.global_step)
        self.seen.append(batch[0].clone())


def trainer(folder: Path, *callbacks: Callback, **options: Any) -> Trainer:
    settings: dict[str, Any] = {
        "max_epochs": 1,
        "limit_train_batches": 6,
        "limit_val_batches": 1,
        "num_sanity_val_steps": 0,
    } | options
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=CSVLogger(folder, name="", version=""),
        log_every_n_steps=1,
        enable_checkpointing=any(isinstance(callback, DurableCheckpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **settings,
    )
