"""Searches of a few steps, and modules to search."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

SHORT: dict[str, Any] = {"steps": 60, "repeats": 1, "low": 1e-3, "high": 30.0}


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


class Grouped(LightningModule):
    def __init__(self, schedule: Any = None) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(64, 16), nn.Linear(16, 10)
        self.schedule = schedule

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.two(self.one(batch[0].flatten(1)).relu()), batch[1])

    def configure_optimizers(self) -> Any:
        groups = [{"params": self.one.parameters(), "lr": 0.01}, {"params": self.two.parameters(), "lr": 0.1}]
        optimizer = torch.optim.SGD(groups)
        if self.schedule is None:
            return optimizer
        return [optimizer], [{"scheduler": self.schedule(optimizer), "interval": "step"}]


class Rates(Callback):
    """Record the rates of each step."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        self.rates.append([group["lr"] for group in optimizer.param_groups])
