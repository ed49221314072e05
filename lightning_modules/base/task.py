"""Base class of the tasks: metrics over all samples, a trial run of the network, and predictions."""

from abc import abstractmethod
from typing import Any, cast

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torchmetrics import MetricCollection

from foundation.compat.lightning import trainer_of
from foundation.errors import UserError
from foundation.metrics.direction import Direction, directions_of_metrics
from lightning_modules.base.supervised import SupervisedModule


def trial_output(network: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a network's output for two black images; its state and every random stream stay unchanged.

    Args:
        network: The network; it is run in evaluation mode.
        shape: `(C, H, W)` of an image.

    Raises:
        UserError: The network does not take the images, or does not return a tensor.
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
            f"{reason[0].rstrip('.')}. Choose a network for such images, or change in_channels or the data's "
            "image_size and mode."
        ) from error
    finally:
        for module, mode in modes:
            module.training = mode
    if not isinstance(output, Tensor):
        raise UserError(f"{name} gives {type(output).__name__} for 2 images, expected a tensor.")
    return tuple(output.shape)


class Task(SupervisedModule):
    """A supervised module with metrics over every sample of validation and test, and with named predictions.

    A task creates its metrics in `make_metrics`, converts a batch for them in `metric_inputs`, checks the shape of the
    network's output in `check_output`, and names what `descent predict` writes in `prediction_columns`.
    """

    batch_metric_names: frozenset[str] = frozenset({"accuracy"})
    """Names of what `batch_metrics` returns."""

    class_names: list[str] | None = None
    _undefined: frozenset[str] = frozenset()  # names of metrics that a warning has said to be undefined
    metrics: nn.ModuleDict

    @abstractmethod
    def make_metrics(self) -> MetricCollection:
        """Create the metrics of one stage."""

    @abstractmethod
    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """Return predictions `(B, …)` by name, from what `forward` returns."""

    def metric_inputs(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the metrics are updated with, from what `forward` returns and the targets."""
        return output, target

    def check_output(self, shape: tuple[int, ...], data: Any) -> None:
        """Raise UserError if `shape`, the network's output for two samples, does not fit the data."""

    def classes_of_data(self, argument: str) -> int:
        """Return the number of classes (or labels) of the data, else that in the module's own attribute.

        Args:
            argument: The constructor argument and attribute that holds the module's own number.

        Raises:
            UserError: Neither the data nor the module knows it.
        """
        number: int | None = getattr(getattr(self.trainer, "datamodule", None), "num_classes", None)
        if number is None:
            number = getattr(self, argument)
        if number is None:
            raise UserError(
                f"The number of {argument.removeprefix('num_')} is unknown: give {type(self).__name__}({argument}=…), "
                "or a data module that has num_classes."
            )
        return number

    def setup(self, stage: str) -> None:
        """Try the network on images of the data's shape, and create the metrics."""
        super().setup(stage)
        data: Any = getattr(trainer_of(self), "datamodule", None)
        self.class_names = getattr(data, "class_names", self.class_names)
        if hasattr(data, "channels") and hasattr(data, "image_size"):
            self.check_output(trial_output(self.network, (data.channels, *data.image_size)), data)
        if not hasattr(self, "metrics"):
            self.metrics = nn.ModuleDict({f"{part}_metrics": self.make_metrics() for part in ("val", "test")})

    def metric_names(self) -> set[str]:
        """Return the names of the loss and the metrics."""
        return {"loss", *self.make_metrics()}

    def metric_directions(self) -> dict[str, Direction]:
        """Return for each metric whether a larger or a smaller value is better, as torchmetrics states it."""
        return directions_of_metrics({str(name): metric for name, metric in self.make_metrics().items()})

    def logged_metrics(self) -> set[str]:
        """Return the names of everything logged per epoch."""
        return super().logged_metrics() | {f"train/{name}" for name in self.batch_metric_names}

    def update_metrics(self, stage: str, output: Tensor, target: Tensor) -> None:
        """Update the metrics of `stage` with a batch."""
        self._metrics(stage).update(*self.metric_inputs(output, target))

    def compute_metrics(self, stage: str) -> dict[str, Tensor]:
        """Return the metrics over every sample of the stage, and reset them."""
        values: dict[str, Tensor] = self._metrics(stage).compute()
        self._say_what_is_undefined(stage)
        self._metrics(stage).reset()
        return values

    def _say_what_is_undefined(self, stage: str) -> None:
        """Warn once of each metric that is NaN because it is not defined for these targets."""
        for name, metric in self._metrics(stage).items():
            reason, key = getattr(metric, "reason", None), f"{stage}/{name}"
            if reason is not None and not self.trainer.sanity_checking and key not in self._undefined:
                self._undefined |= {key}
                rank_zero_warn(f"{key} is not defined: {reason}. It is logged as NaN.")

    def _evaluation_start(self, stage: str) -> None:
        super()._evaluation_start(stage)
        self._metrics(stage).reset()

    def _metrics(self, stage: str) -> MetricCollection:
        return cast(MetricCollection, self.metrics[f"{stage}_metrics"])

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Return the predictions for a batch, one entry per sample."""
        inputs = batch[0] if isinstance(batch, (tuple, list)) else batch
        return self.prediction_columns(self(inputs))
