"""Predict a number from images or rows of numbers."""

from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

from foundation.errors import UserError
from lightning_modules.base.task import Task
from lightning_modules.tasks.defined_metrics import R2


class Regressor(Task):
    """Predict a number; logs loss, RMSE, MAE and R², all but the loss in the unit of the target.

    Args:
        network: Maps inputs `(B, …)` to one number `(B, 1)`.
        optimizer: Creates the optimizer from the parameters.
        loss: Called as `loss(output, target)`, both `(B,)`; default mean squared error.
        standardize: Scale targets to mean 0 and standard deviation 1 over the training data before the loss; arguments
            of a loss (Huber's delta) are then in standard deviations. Switch it off for losses that need the targets
            as they are, such as the logarithmic one.
        **kwargs: `scheduler`, `channels_last` and `parameter_groups`, see `SupervisedModule`.
    """

    batch_metric_names = frozenset[str]()
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        loss: nn.Module | None = None,
        standardize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, loss or nn.MSELoss(), optimizer, **kwargs)
        self.standardize = standardize
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def setup(self, stage: str) -> None:
        """Take the targets' mean and standard deviation from the data; a checkpoint, loaded later, overwrites them."""
        super().setup(stage)
        data: Any = getattr(self.trainer, "datamodule", None)
        if not self.standardize or stage != "fit":
            return
        if not hasattr(data, "target_statistics"):
            raise UserError(
                "standardize is on, but the data does not give the mean and standard deviation of its targets: give "
                "the data module target_statistics = (mean, std), or set standardize to false."
            )
        mean, std = data.target_statistics
        self.mean.fill_(mean)
        self.std.fill_(std if std > 0 else 1.0)

    def check_output(self, shape: tuple[int, ...], data: Any) -> None:
        """Require one number per sample."""
        if shape != (2, 1):
            raise UserError(
                f"{type(self.network).__name__} gives {shape} for 2 samples; regression needs one number each, (2, 1): "
                "set num_classes to 1."
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return predictions `(B,)`, standardized if the loss gets standardized targets."""
        return super().forward(inputs).squeeze(1)

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, on standardized targets if `standardize` is on."""
        return super().criterion(output, (target - self.mean) / self.std)

    def make_metrics(self) -> MetricCollection:
        """Create the errors in the target's unit, and R², the share of the variance that is explained."""
        return MetricCollection(
            {"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError(), "r2": R2()},
            compute_groups=False,
        )

    def metric_inputs(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return predictions in the target's unit, and the targets."""
        return self._in_units(output), target

    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """Return the predicted number `(B,)`, in the target's unit."""
        return {"prediction": self._in_units(output)}

    def _in_units(self, output: Tensor) -> Tensor:
        return output.float() * self.std + self.mean
