"""Ways of training one network on one DataLoader: a bare loop, Lightning, Lightning with logging, and ours."""

import os
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from cli import main
from descent.training.step_overhead import gpu_checked_once
from lightning_modules.networks import MLP, ResNet8

BATCH = {"mlp": 64, "resnet8": 250}
SHAPE = {"mlp": (64,), "resnet8": (3, 32, 32)}
LOG_EVERY = {"mlp": 50, "resnet8": 5}  # Lightning's default; more often for the network with few steps
PRECISION = {"mlp": "32-true", "resnet8": "bf16-mixed"}


def network(task: str) -> nn.Module:
    """Make the network that every contestant trains."""
    torch.manual_seed(0)
    if task == "mlp":
        return MLP(num_classes=10, in_channels=64, hidden=[128])
    return ResNet8(num_classes=10).to(memory_format=torch.channels_last)


def loader(task: str, samples: int) -> DataLoader[Any]:
    """Make the plain DataLoader over a TensorDataset that every contestant reads."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, *SHAPE[task], generator=generator)
    targets = torch.randint(0, 10, (samples,), generator=generator)
    return DataLoader(TensorDataset(inputs, targets), BATCH[task], shuffle=True)


def optimizer(parameters: Any) -> torch.optim.Optimizer:
    """Make the optimizer that every contestant uses."""
    return torch.optim.AdamW(parameters, lr=1e-3, fused=True)


class Rows(pl.LightningDataModule):
    """The same loader as a DataModule, for our command line."""

    num_classes = 10

    def __init__(self, task: str, samples: int) -> None:
        super().__init__()
        self.task, self.samples, self.channels = task, samples, SHAPE[task][0]

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader that all contestants read."""
        return loader(self.task, self.samples)


class Clock(pl.Callback):
    """Measure processor time from the second epoch to the end of training; the first epoch warms up."""

    seconds = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock in the second epoch."""
        if trainer.current_epoch == 1:
            self.seconds = -time.process_time()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self.seconds += time.process_time()


class Plain(pl.LightningModule):
    """A minimal LightningModule; `logs` adds the logging that Lightning's documentation shows."""

    def __init__(self, task: str, logs: bool) -> None:
        super().__init__()
        self.network, self.logs = network(task), logs

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss; log loss and accuracy."""
        inputs, target = batch
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        output = self.network(inputs)
        loss = cross_entropy(output, target)
        if self.logs:
            self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
            self.log("train/accuracy", (output.argmax(1) == target).float().mean(), on_step=True, on_epoch=True)
        return loss

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Log the gradient norms as Lightning's documentation shows it."""
        if self.logs:
            self.log_dict(pl.utilities.grad_norm(self, norm_type=2))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer that all contestants use."""
        return optimizer(self.parameters())


@gpu_checked_once()
def bare(task: str, samples: int, epochs: int, folder: Path) -> float:
    """Train with a plain loop, without the costs of Lightning."""
    net, data = network(task), loader(task, samples)
    opt = optimizer(net.parameters())
    for epoch in range(epochs):
        if epoch == 1:
            start = time.process_time()
        for inputs, target in data:
            if inputs.ndim == 4:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", enabled=PRECISION[task] != "32-true"):
                loss = cross_entropy(net(inputs), target)
            opt.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            opt.step()
    return time.process_time() - start


def nothing_on(task: str, samples: int, epochs: int, folder: Path) -> float:
    """Train with Lightning without logger, checkpoints and progress bar."""
    off: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    return fitted(task, samples, epochs, False, **off)


@gpu_checked_once()
def nothing_on_without_nvml(task: str, samples: int, epochs: int, folder: Path) -> float:
    """Do the same without Lightning's call of NVML at each step, which costs time on machines without a GPU driver."""
    return nothing_on(task, samples, epochs, folder)


def usual(task: str, samples: int, epochs: int, folder: Path) -> float:
    """Train with Lightning, logged metrics and norms, TensorBoard, learning rate monitor, checkpoints, progress bar."""
    logger = pl.loggers.TensorBoardLogger(folder)
    return fitted(task, samples, epochs, True, logger=logger, gradient_clip_val=1.0)


def fitted(task: str, samples: int, epochs: int, logs: bool, **options: Any) -> float:
    """Fit with Lightning's own Trainer and return the seconds."""
    clock = Clock()
    callbacks: list[pl.Callback] = [clock, *([pl.callbacks.LearningRateMonitor("step")] if logs else [])]
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        precision=PRECISION[task],  # type: ignore[arg-type]
        callbacks=callbacks,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(Plain(task, logs), loader(task, samples))
    return clock.seconds


def ours(task: str, samples: int, epochs: int, folder: Path) -> float:
    """Train with `descent fit`: all defaults of a run, and the gradient norms."""
    os.environ["TTY_COMPATIBLE"] = "1"  # so that rich draws its bar as on a terminal
    try:
        cli = main(["fit", "-c", str(our_config(task, samples, epochs, folder))])
    finally:
        del os.environ["TTY_COMPATIBLE"]
    missing = {"train/loss", "train/loss_step", "train/accuracy", "lr", "grad_norm/total", "grad_norm/clipped"}
    missing -= set(cli.trainer.callback_metrics)
    if missing:
        raise RuntimeError(f"{sorted(missing)} not in trainer.callback_metrics")
    clock = next(callback for callback in cli.trainer.callbacks if isinstance(callback, Clock))
    return clock.seconds


def our_config(task: str, samples: int, epochs: int, folder: Path) -> Path:
    """Write our config: sizes, clipping, norms, and a progress bar although the output is not a terminal."""
    networks = {"mlp": ("MLP", {"hidden": [128]}), "resnet8": ("ResNet8", {})}
    name, arguments = networks[task]
    here = "benchmarks.overhead.contestants"
    config = {
        "trainer": {
            "default_root_dir": str(folder),
            "max_epochs": epochs,
            "accelerator": "cpu",
            "precision": PRECISION[task],
            "gradient_clip_val": 1.0,
            "log_every_n_steps": LOG_EVERY[task],
            "callbacks": [
                {"class_path": f"{here}.Clock"},
                {"class_path": "callbacks.EpochBar"},
                {"class_path": "callbacks.GradientNorm"},
            ],
        },
        "model": {
            "class_path": "lightning_modules.ImageClassifier",
            "init_args": {
                "network": {"class_path": f"lightning_modules.networks.{name}", "init_args": arguments},
                "loss": {"class_path": "torch.nn.CrossEntropyLoss"},
                "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}},
            },
        },
        "data": {"class_path": f"{here}.Rows", "init_args": {"task": task, "samples": samples}},
        "checkpoint": {"monitor": "train/loss"},
    }
    file = folder / "overhead.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


Contestant = Callable[[str, int, int, Path], float]


def quietly(contestant: Contestant, task: str, samples: int, epochs: int, folder: Path) -> float:
    """Return processor seconds per step from the second epoch on; suppress what the contestant prints."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        seconds = contestant(task, samples, epochs, folder)
    return seconds / ((epochs - 1) * -(-samples // BATCH[task]))
