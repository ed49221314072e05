"""Ways to train a trivial network on a CUDA device, with the same images and augmentation; each returns its times."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning.pytorch as pl
import torch
import yaml
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from callbacks.non_finite.finite_run import FiniteRun
from cli import main
from datamodules import CropFlip, ImageDataModule, ImageDataset, Images
from datamodules.memory.images import Batch
from datamodules.memory.loading import image_loader
from datamodules.memory.normalisation import Normaliser, Statistics
from datamodules.memory.order import EpochOrder

EPOCHS, STEPS, SIZE = 4, 25, 32
HERE = "benchmarks.host_time.contestants"
Times = list[float]
"""Processor seconds of this process at the start of each step."""


class Network(nn.Module):
    """Pool and classify: five launches forward."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * (SIZE // 8) ** 2, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits `(B, 10)`."""
        logits: Tensor = self.layers(images)
        return logits


class Data(ImageDataModule):
    """Black images of ten classes, 25 batches an epoch."""

    class_names = [str(number) for number in range(10)]  # noqa: RUF012
    image_size, channels = (SIZE, SIZE), 3

    def training_images(self) -> Images:
        """Return the images."""
        return images(STEPS * self.batch_size)

    def validation_images(self) -> Images:
        """Return a few images."""
        return images(100)

    test_images = validation_images


class Clock(pl.Callback):
    """Note the processor time at the start of each step."""

    def __init__(self) -> None:
        self.times: Times = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, at: int) -> None:
        """Note it."""
        self.times.append(time.process_time())


class Plain(pl.LightningModule):
    """A minimal LightningModule, which notes the times itself: Lightning's barebones mode allows no callback."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network()
        self.times: Times = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss."""
        self.times.append(time.process_time())
        return cross_entropy(self.network(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer that all contestants use."""
        return optimizer(self)


def images(count: int) -> Images:
    """Return black images."""
    return Images(torch.zeros(count, SIZE, SIZE, 3, dtype=torch.uint8), torch.arange(count) % 10)


def optimizer(module: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer that all contestants use."""
    return torch.optim.AdamW(module.parameters(), lr=1e-3, fused=True)


def by_hand(batch_size: int, batches: Callable[[Images, int], Callable[[int], Iterator[Batch]]]) -> Times:
    """Train with a loop: batches, augmentation, normalisation, network, loss, optimizer."""
    held = images(STEPS * batch_size)
    crop, normalise = CropFlip(2).for_samples(len(held.targets)), Normaliser(Statistics((0.5,) * 3, (0.25,) * 3))
    network = Network().cuda()
    adam, of_epoch, times = optimizer(network), batches(held, batch_size), []
    for epoch in range(EPOCHS):
        for pixels, targets, rows in of_epoch(epoch):
            times.append(time.process_time())
            loss = cross_entropy(network(normalise(crop(pixels, rows, 0, epoch))), targets)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
    return times


def from_the_device(held: Images, batch_size: int) -> Callable[[int], Iterator[Batch]]:
    """Gather batches from tensors on the device, in an order that is drawn there."""
    pixels, targets = (part.cuda() for part in held)

    def epoch(number: int) -> Iterator[Batch]:
        for rows in torch.split(torch.randperm(len(targets), device="cuda"), batch_size):
            yield pixels.index_select(0, rows).permute(0, 3, 1, 2), targets.index_select(0, rows), rows

    return epoch


def from_the_host(held: Images, batch_size: int) -> Callable[[int], Iterator[Batch]]:
    """Load batches with Descent's loader, and copy them from pinned memory."""
    dataset = ImageDataset(held)
    order = EpochOrder(dataset, seed=0)
    loader = image_loader(dataset, order, batch_size, pin_memory=True)

    def epoch(number: int) -> Iterator[Batch]:
        order.set_epoch(number)
        for pixels, targets, rows in loader:
            yield pixels.cuda(non_blocking=True), targets.cuda(non_blocking=True), rows.cuda(non_blocking=True)

    return epoch


def loop_on_device(batch_size: int) -> Times:
    """Time a loop whose data are on the device."""
    return by_hand(batch_size, from_the_device)


def loop_from_host(batch_size: int) -> Times:
    """Time a loop with Descent's loader."""
    return by_hand(batch_size, from_the_host)


def barebones(batch_size: int) -> Times:
    """Time Lightning with everything off, on Descent's data in host memory."""
    module = Plain()
    trainer = pl.Trainer(barebones=True, max_epochs=EPOCHS, accelerator="gpu", devices=1)
    trainer.fit(module, Data(batch_size=batch_size, augmentation=CropFlip(2), device_resident=False))
    return module.times


def barebones_resident(batch_size: int) -> Times:
    """Time Lightning with everything off, on Descent's data on the device."""
    module = Plain()
    trainer = pl.Trainer(barebones=True, max_epochs=EPOCHS, accelerator="gpu", devices=1)
    trainer.fit(module, Data(batch_size=batch_size, augmentation=CropFlip(2), device_resident=True))
    return module.times


def descent(batch_size: int, resident: bool) -> Times:
    """Time `descent fit` with all that a run has, clipping and gradient norms."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = {"batch_size": batch_size, "device_resident": resident}
        crop = {"class_path": "datamodules.CropFlip", "init_args": {"padding": 2}}
        parts: dict[str, Any] = {
            "network": {"class_path": f"{HERE}.Network"},
            "loss": {"class_path": "torch.nn.CrossEntropyLoss"},
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}},
        }
        config = {
            "trainer": {
                "default_root_dir": folder,
                "max_epochs": EPOCHS,
                "accelerator": "gpu",
                "devices": 1,
                "gradient_clip_val": 1.0,
                "callbacks": [{"class_path": "callbacks.GradientNorm"}, {"class_path": f"{HERE}.Clock"}],
            },
            "model": {"class_path": "lightning_modules.ImageClassifier", "init_args": parts},
            "data": {"class_path": f"{HERE}.Data", "init_args": {**arguments, "augmentation": crop}},
            "preflight": False,  # the stub's losses are zeros
        }
        file = Path(folder) / "host_time.yaml"
        file.write_text(yaml.safe_dump(config))
        # The stub computes nothing, so the weights are what lay in memory before.
        with patch.object(FiniteRun, "on_train_epoch_end"), patch.object(FiniteRun, "on_fit_end"):
            cli = main(["fit", "-c", str(file)])
    return next(callback for callback in cli.trainer.callbacks if isinstance(callback, Clock)).times


def descent_from_host(batch_size: int) -> Times:
    """Time `descent fit` with the data in host memory."""
    return descent(batch_size, resident=False)


def descent_on_device(batch_size: int) -> Times:
    """Time `descent fit` with the data on the device."""
    return descent(batch_size, resident=True)
