"""A supervised task that is measured with torchmetrics."""

from abc import abstractmethod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from foundation.compat.lightning import trainer_of
from foundation.errors import UserError
from lightning_modules.base.supervised import SupervisedModule


def trial_output(network: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of what a network gives for two black images; its state, and every random stream, are as before.

    Args:
        network: The network; the images go through it in evaluation mode.
        shape: `(C, H, W)` of an image.

    Raises:
        UserError: The network refuses the images, or gives no tensor.
    """
    name = type(network).__name__
    parameter = next(network.parameters(), torch.empty(0))
    images = torch.zeros(2, *shape, device=parameter.device, dtype=parameter.dtype)
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        with torch.no_grad():
            output = network(images)
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{name} does not take images of shape {shape} (channels, height, width), which the data gives: "
            f"{reason[0]} Choose a network for such images, or in_channels / the data's image_size and mode to match."
        ) from error
    finally:
        for module, mode in modes:
            module.training = mode
    if not isinstance(output, Tensor):
        raise UserError(f"{name} gives {type(output).__name__} for 2 images, expected a tensor.")
    return tuple(output.shape)


class Task(SupervisedModule):
    """What the tasks share beside training: metrics over every sample of validation and test, a trial of the network.

    A task says in `make_metrics` what it measures, in `measured` what the metrics are given, and in `check_output`
    which shape its network must give for two samples.
    """

    class_names: list[str] | None = None
    metrics: nn.ModuleDict

    @abstractmethod
    def make_metrics(self) -> MetricCollection:
        """What is measured."""

    def measured(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What the metrics are given, of what the network gave."""
        return output, target

    def check_output(self, shape: tuple[int, ...], data: Any) -> None:
        """Refuse a network whose output for two samples has a shape that does not fit."""

    def setup(self, stage: str) -> None:
        """Try the network on the data's shape, make the metrics."""
        super().setup(stage)
        data: Any = getattr(trainer_of(self), "datamodule", None)
        self.class_names = getattr(data, "class_names", self.class_names)
        if hasattr(data, "channels") and hasattr(data, "image_size"):
            self.check_output(trial_output(self.network, (data.channels, *data.image_size)), data)
        if not hasattr(self, "metrics"):
            self.metrics = nn.ModuleDict({f"{part}_metrics": self.make_metrics() for part in ("val", "test")})

    def metric_names(self) -> set[str]:
        """The loss and the metrics."""
        return {"loss", *self.make_metrics()}

    def update_metrics(self, stage: str, output: Tensor, target: Tensor) -> None:
        """Measure a batch."""
        self._metrics(stage).update(*self.measured(output, target))

    def compute_metrics(self, stage: str) -> dict[str, Tensor]:
        """The metrics over every sample of the stage."""
        values: dict[str, Tensor] = self._metrics(stage).compute()
        self._metrics(stage).reset()
        return values

    def _evaluation_start(self, stage: str) -> None:
        super()._evaluation_start(stage)
        self._metrics(stage).reset()

    def _metrics(self, stage: str) -> MetricCollection:
        return cast(MetricCollection, self.metrics[f"{stage}_metrics"])

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """What a person wants of the network's output, one entry a sample."""
        inputs = batch[0] if isinstance(batch, (tuple, list)) else batch
        return self.prediction_columns(self(inputs))

    @abstractmethod
    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """Tensors `(B, …)` by name, made of the network's output."""
