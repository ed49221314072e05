"""Ways of training one network on one DataLoader: a bare loop, Lightning, Lightning with logs, and ours."""

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
LOG_EVERY = {"mlp": 50, "resnet8": 5}  # Lightning's default; more often where there are few steps
PRECISION = {"mlp": "32-true", "resnet8": "bf16-mixed"}


def network(task: str) -> nn.Module:
    """The network that every contestant trains."""
    torch.manual_seed(0)
    if task == "mlp":
        return MLP(num_classes=10, in_channels=64, hidden=[128])
    return ResNet8(num_classes=10).to(memory_format=torch.channels_last)


def loader(task: str, samples: int) -> DataLoader[Any]:
    """The plain DataLoader that every contestant reads, over a TensorDataset."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, *SHAPE[task], generator=generator)
    targets = torch.randint(0, 10, (samples,), generator=generator)
    return DataLoader(TensorDataset(inputs, targets), BATCH[task], shuffle=True)


def optimizer(parameters: Any) -> torch.optim.Optimizer:
    """The optimizer that every contestant uses."""
    return torch.optim.AdamW(parameters, lr=1e-3, fused=True)


class Rows(pl.LightningDataModule):
    """The loader above, for the command line."""

    num_classes = 10

    def __init__(self, task: str, samples: int) -> None:
        super().__init__()
        self.task, self.samples, self.channels = task, samples, SHAPE[task][0]

    def train_dataloader(self) -> DataLoader[Any]:
        """As everybody's."""
        return loader(self.task, self.samples)


class Clock(pl.Callback):
    """Processor time from the second epoch's first hook to the end of training; the first epoch is for warming up."""

    seconds = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start."""
        if trainer.current_epoch == 1:
            self.seconds = -time.process_time()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop."""
        self.seconds += time.process_time()


class Plain(pl.LightningModule):
    """What one writes first; `logs` as Lightning's documentation shows it."""

    def __init__(self, task: str, logs: bool) -> None:
        super().__init__()
        self.network, self.logs = network(task), logs

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy."""
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
        """The norms, as Lightning's documentation shows it."""
        if self.logs:
            self.log_dict(pl.utilities.grad_norm(self, norm_type=2))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Everybody's."""
        return optimizer(self.parameters())


def bare(task: str, samples: int, epochs: int, folder: Path) -> float:
    """A loop by hand, as where Lightning was never imported."""
    with gpu_checked_once():
        return _bare(task, samples, epochs)


def _bare(task: str, samples: int, epochs: int) -> float:
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
    """Lightning without logger, checkpoint, progress bar."""
    off: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    return fitted(task, samples, epochs, False, **off)


def nothing_on_without_nvml(task: str, samples: int, epochs: int, folder: Path) -> float:
    """The same, without Lightning's question to NVML in each step: a cost that only machines without a driver have."""
    with gpu_checked_once():
        return nothing_on(task, samples, epochs, folder)


def usual(task: str, samples: int, epochs: int, folder: Path) -> float:
    """Lightning with `self.log` of loss, accuracy and norms, TensorBoard, a rate monitor, checkpoints, progress bar."""
    logger = pl.loggers.TensorBoardLogger(folder)
    return fitted(task, samples, epochs, True, logger=logger, gradient_clip_val=1.0)


def fitted(task: str, samples: int, epochs: int, logs: bool, **options: Any) -> float:
    """Fit with Lightning's own Trainer."""
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
    """`descent fit`: everything that a run has by default, and the norms."""
    os.environ["TTY_COMPATIBLE"] = "1"  # have rich draw its bar as on a terminal
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
    """What differs from a run's defaults: the sizes, the clipping, the norms; a bar, although this is no terminal."""
    networks = {"mlp": ("MLP", {"hidden": [128]}), "resnet8": ("ResNet8", {})}
    name, arguments = networks[task]
    here = "benchmarks.overhead_contestants"
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
    """Processor seconds a step, from the second epoch on; what is printed is dropped."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        seconds = contestant(task, samples, epochs, folder)
    return seconds / ((epochs - 1) * -(-samples // BATCH[task]))
