"""What one writes without this project: LightningCLI, a small CNN, scikit-learn's digits. Ends after the first step.

python -m benchmarks.startup_bare fit
"""

import os
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import LightningCLI
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class EndOfFirstStep(pl.Callback):
    """Ends the process there, at once."""

    def on_train_batch_end(self, *args: Any) -> None:
        """End."""
        os._exit(0)


class Digits(pl.LightningDataModule):
    """1,797 scans."""

    def setup(self, stage: str) -> None:
        """Read them."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        pixels = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
        self.data = TensorDataset(pixels, torch.from_numpy(bunch.target))

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled."""
        return DataLoader(self.data, batch_size=64, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """As they lie."""
        return DataLoader(self.data, batch_size=256)


class SmallNetwork(pl.LightningModule):
    """Two convolutions."""

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
        """Cross-entropy."""
        return self._loss(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Cross-entropy."""
        self._loss(batch, "val")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


def main() -> None:
    """As LightningCLI's documentation shows it."""
    LightningCLI(
        SmallNetwork, Digits, trainer_defaults={"callbacks": [EndOfFirstStep()], "accelerator": "cpu"}
    )  # fmt: skip


if __name__ == "__main__":
    main()
