"""Print what a step asks of the device in Descent and in plain Lightning with torchmetrics, for docs/gpu.md.

python -m tests.phantom_gpu --values -m tests.phantom_gpu.on_device.table
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchmetrics.classification
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules.networks import SmallCNN
from tests.phantom_gpu.counting import WARM, Counted, counted
from tests.phantom_gpu.on_device.fits import FITS, LOGGED, fit

TASKS = ("task quickstart", "task binary", "task regression", "task segmentation", "task gan")
CHOSEN = (*TASKS, "16-mixed black box", "callback gradient_norm, mixup", "callback ema, cutmix")


class Plain(LightningModule):
    """An image classifier as Lightning's tutorials write it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = SmallCNN(10, 1)
        self.train_accuracy, self.accuracy = (
            torchmetrics.classification.MulticlassAccuracy(10, average="micro") for _ in range(2)
        )

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        output = self.network(batch[0])
        loss = nn.functional.cross_entropy(output, batch[1])
        self.train_accuracy(output, batch[1])
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        self.log("train/accuracy", self.train_accuracy, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        output = self.network(batch[0])
        self.accuracy(output, batch[1])
        self.log("val/loss", nn.functional.cross_entropy(output, batch[1]))
        self.log("val/accuracy", self.accuracy)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), fused=True)


def plain() -> None:
    data = TensorDataset(torch.randn(256, 1, 8, 8), torch.arange(256) % 10)
    loader = DataLoader(data, 16, shuffle=True, pin_memory=True)
    trainer = Trainer(
        max_epochs=1, limit_train_batches=8, limit_val_batches=4, log_every_n_steps=LOGGED, gradient_clip_val=1.0,
        logger=CSVLogger("."), enable_progress_bar=False, enable_model_summary=False, accelerator="gpu", devices=1,
    )  # fmt: skip
    trainer.fit(Plain(), loader, DataLoader(data, 16, pin_memory=True))


def line(name: str, function: Callable[[], Any]) -> str:
    with counted() as found:
        function()
    return f"| {name} | {' | '.join(map(str, numbers(found)))} |"


def numbers(found: Counted) -> tuple[int, int, int, int]:
    """Return the waits of a step between logs, of a logged step and of a validation batch, and a step's launches."""
    waits = dict(enumerate(found.waits(), start=WARM))
    between = max(wait for step, wait in waits.items() if (step + 1) % LOGGED)
    logged = max(wait for step, wait in waits.items() if not (step + 1) % LOGGED)
    return between, logged, max(found.waits("validation"), default=0), found.median("launch") + found.median("library")


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        lines = [line("plain Lightning, torchmetrics", plain)]
        lines += [line(name, lambda name=name: fit(FITS[name])) for name in CHOSEN]  # type: ignore[misc]
        os.chdir("/")
    print("| fit | waits of a step | of a logged step | of a validation batch | launches of a step |")
    print("| --- | --- | --- | --- | --- |\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
