"""Trainings with and without diagnostics, which run a given number of steps at a time."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import grad_norm
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks import BlackBox, Diagnostics, GradientNorm
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN


class Plain(ImageClassifier):
    """A classifier that computes no gradient norm."""

    configure_gradient_clipping = LightningModule.configure_gradient_clipping


class LightningsNorm(Callback):
    """Log the norms at every step, as in Lightning's documentation."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Log the norms."""
        pl_module.log_dict(grad_norm(pl_module, norm_type=2))


CONTESTANTS: dict[str, tuple[type[ImageClassifier], Callable[[], list[Callback]]]] = {
    "nothing": (Plain, list),
    "GradientNorm": (ImageClassifier, lambda: [GradientNorm(report=False)]),
    "GradientNorm, any module": (Plain, lambda: [GradientNorm(report=False)]),
    "Lightning's grad_norm": (Plain, lambda: [LightningsNorm()]),
    "GradientNorm, Diagnostics": (ImageClassifier, lambda: [GradientNorm(report=False), Diagnostics()]),
    "the same, BlackBox": (ImageClassifier, lambda: [GradientNorm(report=False), Diagnostics(), BlackBox()]),
}


def mlp() -> nn.Module:
    """Make a network of 64 features, 128 hidden units, 10 classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


NETWORKS: dict[
    str, tuple[Callable[[], nn.Module], tuple[int, ...], str, int]
] = {  # shape of a batch, precision, steps at a time
    "mlp": (mlp, (64, 1, 8, 8), "32-true", 10),
    "cnn": (SmallCNN, (250, 3, 32, 32), "bf16-mixed", 1),
}


class Batches:
    """The same random batch again and again, so that no time goes into data.

    Args:
        shape: Shape of a batch of images.
        number: Number of batches.
    """

    def __init__(self, shape: tuple[int, ...], number: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.batch = torch.randn(shape, generator=generator), torch.randint(0, 10, shape[:1], generator=generator)
        self.number = number

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([self.batch] * self.number)

    def __len__(self) -> int:
        return self.number


class Gate(Callback):
    """Run a fit for a given number of steps at a time; must be its first callback."""

    def __init__(self) -> None:
        self.go, self.arrived = threading.Semaphore(0), threading.Semaphore(0)
        self.steps, self.began, self.seconds = 0, 0.0, 0.0
        self.thread: threading.Thread | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Wait when the steps are done."""
        if self.steps == 0:
            self.seconds = time.thread_time() - self.began
            self.arrived.release()
            self.go.acquire()
            self.began = time.thread_time()
        self.steps -= 1

    def run(self, steps: int) -> float:
        """Run a number of steps and return their CPU seconds."""
        self.steps = steps
        self.go.release()
        self.arrived.acquire()
        return self.seconds

    def end(self) -> None:
        """Run the last step and wait for the end of the fit."""
        self.steps = 1
        self.go.release()
        assert self.thread is not None
        self.thread.join()


def started(network: str, contestant: str, steps: int, folder: Path) -> Gate:
    """Start a fit that waits at its first step."""
    make, shape, precision, _ = NETWORKS[network]
    kind, callbacks = CONTESTANTS[contestant]
    torch.manual_seed(0)
    body = make()
    module = kind(body, num_classes=10, optimizer=partial(torch.optim.SGD, lr=1e-3, momentum=0.9))
    gate = Gate()
    trainer = Trainer(
        accelerator="cpu",
        precision=precision,  # type: ignore[arg-type]
        max_epochs=1,
        logger=CSVLogger(folder, name=f"{network} {contestant}"),
        callbacks=[gate, *callbacks()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    gate.thread = threading.Thread(target=trainer.fit, args=(module, Batches(shape, steps)), daemon=True)
    gate.thread.start()
    gate.arrived.acquire()
    return gate
