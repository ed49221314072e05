"""A script without this project: LightningCLI, a small CNN, scikit-learn's digits; ends after the first step.

python -m benchmarks.startup.bare fit
"""

import os
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import LightningCLI
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class EndOfFirstStep(pl.Callback):
    """End the process after the first training step."""

    def on_train_batch_end(self, *args: Any) -> None:
        """End the process."""
        os._exit(0)


class Digits(pl.LightningDataModule):
    """The 1,797 digits of scikit-learn."""

    def setup(self, stage: str) -> None:
        """Read the digits."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        pixels = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
        self.data = TensorDataset(pixels, torch.from_numpy(bunch.target))

    def train_dataloader(self) -> DataLoader[Any]:
        """Return a shuffled loader."""
        return DataLoader(self.data, batch_size=64, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return a loader in the given order."""
        return DataLoader(self.data, batch_size=256)


class SmallNetwork(pl.LightningModule):
    """Two convolutions and a linear layer."""

    def __init__(self, lr: float = 1e-3) -> None:
        super().__init__()
        self.lr = lr
        self.network = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, 10),
        )

    def _loss(self, batch: tuple[Tensor, Tensor], name: str) -> Tensor:
        loss = nn.functional.cross_entropy(self.network(batch[0]), batch[1])
        self.log(f"{name}/loss", loss)
        return loss

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Compute the cross-entropy."""
        return self._loss(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Compute the cross-entropy."""
        self._loss(batch, "val")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


def main() -> None:
    """Run LightningCLI as its documentation shows it."""
    LightningCLI(
        SmallNetwork, Digits, trainer_defaults={"callbacks": [EndOfFirstStep()], "accelerator": "cpu"}
    )  # fmt: skip


if __name__ == "__main__":
    main()
