"""A problem as a LightningModule and a data module, for the finders."""

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.lr_problems.problems import OPTIMIZERS, Problem
from benchmarks.lr_problems.tasks import task
from lightning_modules.optimizers.schedule_free import schedule_free


class ProblemModule(LightningModule):
    """Network, loss, optimizer and schedule of a problem.

    Args:
        problem: The problem.
        seed: Of the weights.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__()
        torch.manual_seed(1000 + seed)
        what = task(problem.task)
        self.network, self.loss = what.network(), what.loss
        self.optimizer: Any = OPTIMIZERS[problem.optimizer]
        self.scheduler = problem.scheduler()
        self.lr = problem.default  # Lightning's finder sets it

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the loss."""
        loss: Tensor = self.loss(self.network(batch[0]), batch[1])
        return loss

    def configure_optimizers(self) -> Any:
        """Build the optimizer; the finders set the rates."""
        optimizer = self.optimizer(self.parameters(), lr=self.lr)
        if schedule_free(optimizer):
            optimizer.train()
        return optimizer


class ProblemData(LightningDataModule):
    """Training and validation batches of a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem

    def train_dataloader(self) -> Any:
        """Return shuffled batches."""
        train = TensorDataset(*task(self.problem.task).train)
        return DataLoader(train, self.problem.batch, shuffle=True, drop_last=True)

    def val_dataloader(self) -> Any:
        """Return the validation batches."""
        return DataLoader(TensorDataset(*task(self.problem.task).validation), 256)
