"""The tasks on which data pruning is measured: data, network and length of a run."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule
from torch import nn

from datamodules import (
    CropFlip,
    DiabetesDataModule,
    DigitsDataModule,
    ImageDataModule,
    ImageFolderDataModule,
    Images,
    Pruning,
)
from lightning_modules import ImageClassifier, Regressor
from lightning_modules.networks import MLP, SmallCNN
from lightning_modules.schedulers import Cosine, Warmup


class Task(NamedTuple):
    """A task.

    Args:
        name: Of the task and its file.
        epochs: Of the longest run.
        score: Name of the test metric.
        data: Makes the data from a seed and a pruning.
        module: Makes the module.
    """

    name: str
    epochs: int
    score: str
    data: Callable[[int, Pruning | None], ImageDataModule]
    module: Callable[[], LightningModule]


class NoisyDigits(DigitsDataModule):
    """The digits, with a random class for a fifth of the training images."""

    def training_images(self) -> Images:
        """Return the training images with wrong labels, the same in every run; those of the test stay right."""
        pixels, targets = super().training_images()
        generator = torch.Generator().manual_seed(1)
        wrong = torch.rand(len(targets), generator=generator) < 0.2
        return Images(pixels, torch.where(wrong, torch.randint(10, targets.shape, generator=generator), targets))


def sgd(rate: float, decay: float = 1e-4) -> Any:
    """Return SGD with momentum."""
    return partial(torch.optim.SGD, lr=rate, momentum=0.9, weight_decay=decay)


def classifier(network: Callable[[], nn.Module], rate: float, decay: float = 1e-4) -> Callable[[], LightningModule]:
    """Return what makes a classifier: a linear warmup over a tenth of the run, then a cosine to 0."""
    return lambda: ImageClassifier(network(), sgd(rate, decay), scheduler=Warmup(Cosine(), fraction=0.1))


def of_digits(kind: type[DigitsDataModule]) -> Callable[[int, Pruning | None], ImageDataModule]:
    """Return what makes the digits, or a variant of them."""
    crop = CropFlip(1, mode="zero", flip="none")
    return lambda seed, pruning: kind(batch_size=64, augmentation=crop, seed=seed, pruning=pruning)


def cifar10(images: Path) -> Callable[[int, Pruning | None], ImageDataModule]:
    """Return what makes 5,000 of the training images; the others would be for validation, which there is none of."""
    crop = CropFlip(2, flip="alternating")
    return lambda seed, pruning: ImageFolderDataModule(
        root=str(images), batch_size=128, val_share=0.9, augmentation=crop, seed=seed, pruning=pruning
    )


def diabetes(seed: int, pruning: Pruning | None) -> ImageDataModule:
    """Return a table of 442 patients."""
    return DiabetesDataModule(batch_size=32, seed=seed, pruning=pruning)


def regressor() -> LightningModule:
    """Return a network of three layers that predicts a number."""
    return Regressor(MLP(num_classes=1, in_channels=10), sgd(0.02), scheduler=Warmup(Cosine(), fraction=0.1))


SMALL = partial(SmallCNN, num_classes=10, in_channels=1, width=16)


def tasks(images: Path) -> list[Task]:
    """Return the tasks; `images` is the folder of CIFAR-10."""
    return [
        Task("digits", 16, "accuracy", of_digits(DigitsDataModule), classifier(SMALL, 0.1)),
        Task("digits_long", 64, "accuracy", of_digits(DigitsDataModule), classifier(SMALL, 0.1)),
        Task("digits_noisy", 32, "accuracy", of_digits(NoisyDigits), classifier(SMALL, 0.1)),
        Task("diabetes", 32, "rmse", diabetes, regressor),
        Task(
            "cifar10",
            12,
            "accuracy",
            cifar10(images),
            classifier(partial(SmallCNN, num_classes=10, width=16), 0.1, 5e-4),
        ),
    ]
