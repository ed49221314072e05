"""Rows of numbers or images into a number."""

from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

from foundation.errors import UserError
from lightning_modules.base.task import Task
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.schedulers.factory import ScheduleFactory


class Regressor(Task):
    """Predict a number; logs loss, RMSE, MAE and R², all but the loss in the target's own unit.

    Args:
        network: Maps inputs `(B, …)` to one number `(B, 1)`.
        optimizer: Makes the optimizer from the parameters.
        loss: Called as `loss(output, target)`, both `(B,)`; default mean squared error.
        scheduler: Makes the learning-rate schedule; `None` keeps the rate.
        channels_last: See `SupervisedModule`.
        parameter_groups: See `SupervisedModule`.
        standardize: Let network and loss work with targets of mean 0 and standard deviation 1 over the training data;
            the arguments of a loss (Huber's delta) are then in standard deviations. Not for losses that need the
            targets as they are, such as the logarithmic one.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        loss: nn.Module | None = None,
        scheduler: ScheduleFactory | LRSchedulerCallable | None = None,
        channels_last: bool = True,
        standardize: bool = True,
        parameter_groups: ParameterGroups | None = None,
    ) -> None:
        super().__init__(network, loss or nn.MSELoss(), optimizer, scheduler, channels_last, parameter_groups)
        self.standardize = standardize
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def setup(self, stage: str) -> None:
        """Take the targets' mean and standard deviation from the data; a checkpoint's come after and win."""
        super().setup(stage)
        data: Any = getattr(self.trainer, "datamodule", None)
        if not self.standardize or stage != "fit":
            return
        if not hasattr(data, "target_statistics"):
            raise UserError(
                "standardize is on, and the data does not say mean and standard deviation of its targets: give the "
                "data module target_statistics = (mean, std), or set standardize to false."
            )
        mean, std = data.target_statistics
        self.mean.fill_(mean)
        self.std.fill_(std if std > 0 else 1.0)

    def check_output(self, shape: tuple[int, ...], data: Any) -> None:
        """One number a sample."""
        if shape != (2, 1):
            raise UserError(
                f"{type(self.network).__name__} gives {shape} for 2 samples; a number each is wanted, (2, 1): set "
                "num_classes to 1."
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Predictions `(B,)`, standardized where the loss gets standardized targets."""
        return super().forward(inputs).squeeze(1)

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss, on standardized targets where that is asked for."""
        return super().criterion(output, (target - self.mean) / self.std)

    def make_metrics(self) -> MetricCollection:
        """Errors in the target's unit, and the share of the variance that is explained."""
        return MetricCollection(
            {"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError(), "r2": R2Score()},
            compute_groups=False,
        )

    def measured(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions in the target's unit."""
        return self._in_units(output), target

    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """The number `(B,)`, in the target's unit."""
        return {"prediction": self._in_units(output)}

    def _in_units(self, output: Tensor) -> Tensor:
        return output.float() * self.std + self.mean
