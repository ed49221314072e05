"""Images into one of several classes."""

from typing import Any, cast

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from foundation.errors import UserError
from lightning_modules.base.supervised import SupervisedModule
from lightning_modules.base.task import trial_output
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.schedulers.factory import ScheduleFactory


class ImageClassifier(SupervisedModule):
    """Classify images `(B, C, H, W)` into K classes; logs loss and accuracy (top-1, and top-5 where K > 5).

    Args:
        network: Maps images `(B, C, H, W)` to logits `(B, K)`.
        loss: Called as `loss(logits, target)` with classes `(B,)`; default cross-entropy.
        optimizer: Makes the optimizer from the parameters, e.g. `partial(torch.optim.AdamW, lr=1e-3)`.
        scheduler: Makes the learning-rate schedule, e.g. `Cosine()`; `None` keeps the rate.
        channels_last: See `SupervisedModule`.
        num_classes: K. By default that of the data; needed only with data that does not say it.
        parameter_groups: See `SupervisedModule`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        loss: nn.Module | None = None,
        scheduler: ScheduleFactory | LRSchedulerCallable | None = None,
        channels_last: bool = True,
        num_classes: int | None = None,
        parameter_groups: ParameterGroups | None = None,
    ) -> None:
        super().__init__(network, loss or nn.CrossEntropyLoss(), optimizer, scheduler, channels_last, parameter_groups)
        self.num_classes = num_classes
        self.class_names: list[str] | None = None
        self.metrics = nn.ModuleDict()

    def setup(self, stage: str) -> None:
        """Take the classes from the data, see that the network fits them, make the metrics."""
        super().setup(stage)
        data: Any = getattr(self.trainer, "datamodule", None)
        self.class_names = getattr(data, "class_names", self.class_names)
        self.num_classes = self._num_classes(getattr(data, "num_classes", None))
        if hasattr(data, "channels") and hasattr(data, "image_size"):
            check_network(self.network, (data.channels, *data.image_size), self.num_classes)
        if not self.metrics:
            self.metrics.update(
                {"val_metrics": accuracies(self.num_classes), "test_metrics": accuracies(self.num_classes)}
            )

    def _num_classes(self, of_data: int | None) -> int:
        if of_data is not None and self.num_classes is not None and of_data != self.num_classes:
            raise UserError(
                f"num_classes is {self.num_classes} in the module, but the data has {of_data} classes. "
                "Leave it out of the module: it is taken from the data."
            )
        num_classes = of_data if of_data is not None else self.num_classes
        if num_classes is None:
            raise UserError(
                "The number of classes is unknown: give ImageClassifier(num_classes=…), "
                "or a data module that has num_classes."
            )
        return num_classes

    def metric_names(self) -> set[str]:
        """Loss and accuracies."""
        return {"loss", *accuracies(self.num_classes or 2)}

    def logged_metrics(self) -> set[str]:
        """Also the training accuracy."""
        return super().logged_metrics() | {"train/accuracy"}

    def batch_metrics(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Share of the batch classified right; of mixed targets the larger part counts."""
        classes = target.argmax(dim=1) if target.ndim == output.ndim else target
        return {"accuracy": (output.argmax(dim=1) == classes).float().mean()}

    def update_metrics(self, stage: str, output: Tensor, target: Tensor) -> None:
        """Count what is classified right."""
        cast(MetricCollection, self.metrics[f"{stage}_metrics"]).update(output, target)

    def compute_metrics(self, stage: str) -> dict[str, Tensor]:
        """Accuracy over every sample of the stage."""
        metrics = cast(MetricCollection, self.metrics[f"{stage}_metrics"])
        values: dict[str, Tensor] = metrics.compute()
        metrics.reset()
        return values

    def _evaluation_start(self, stage: str) -> None:
        super()._evaluation_start(stage)
        cast(MetricCollection, self.metrics[f"{stage}_metrics"]).reset()

    def probabilities(self, output: Tensor) -> Tensor:
        """Of each class `(B, K)`, from what `forward` gives."""
        return output.float().softmax(dim=1)

    def log_probabilities(self, output: Tensor) -> Tensor:
        """Their logarithms `(B, K)`, exact also where a probability is too small for its dtype."""
        return output.float().log_softmax(dim=1)

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Class `(B,)` and its probability `(B,)`, most probable first choice and runner-up."""
        inputs = batch[0] if isinstance(batch, (tuple, list)) else batch
        top = self.probabilities(self(inputs)).topk(2, dim=1)
        return {
            "class": top.indices[:, 0],
            "probability": top.values[:, 0],
            "runner_up": top.indices[:, 1],
            "runner_up_probability": top.values[:, 1],
        }


def accuracies(num_classes: int) -> MetricCollection:
    """Top-1 accuracy over samples, and top-5 where there are more than five classes."""
    metrics: dict[str, Metric | MetricCollection] = {
        "accuracy": MulticlassAccuracy(num_classes, average="micro", validate_args=False)
    }
    if num_classes > 5:
        metrics["accuracy_top5"] = MulticlassAccuracy(num_classes, top_k=5, average="micro", validate_args=False)
    return MetricCollection(metrics)


def check_network(network: nn.Module, shape: tuple[int, int, int], num_classes: int) -> None:
    """See that a network takes images of this shape and gives one logit a class.

    Args:
        network: The network.
        shape: `(C, H, W)` of an image.
        num_classes: K.

    Raises:
        UserError: The network refuses the images, or its output is not `(B, K)`.
    """
    found = trial_output(network, shape)
    if found != (2, num_classes):
        raise UserError(
            f"{type(network).__name__} gives {found} for 2 images; the data has {num_classes} classes, expected "
            f"{(2, num_classes)}: a network with an argument num_classes gets it from the data; one without must have "
            "as many outputs as there are classes."
        )
