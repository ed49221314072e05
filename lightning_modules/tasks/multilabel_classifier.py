"""Assign any number of labels to images or rows of numbers."""

from typing import Any

from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MultilabelAccuracy

from foundation.errors import UserError
from lightning_modules.tasks.defined_metrics import LabelF1
from lightning_modules.tasks.metrics import ExactMatch
from lightning_modules.tasks.sigmoid_task import SigmoidTask, convert


class MultilabelClassifier(SigmoidTask):
    """Predict for each of K labels whether it applies; logs loss, accuracy, F1 (mean over labels) and exact matches.

    Args:
        network: Maps inputs `(B, …)` to logits `(B, K)`.
        optimizer: Creates the optimizer from the parameters.
        loss: Called as `loss(logits, target)`, both `(B, K)`, the target 0 or 1; default binary cross-entropy. A loss
            that needs probabilities gets the sigmoid of the logits.
        num_labels: K. Taken from the data by default; needed only for data that has no `num_classes`.
        **kwargs: `network_output` and `threshold`, see `SigmoidTask`; `scheduler`, `channels_last` and
            `parameter_groups`, see `SupervisedModule`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        loss: nn.Module | None = None,
        num_labels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, optimizer, loss, **kwargs)
        self.num_labels = num_labels

    def setup(self, stage: str) -> None:
        """Take the number of labels from the data."""
        self.num_labels = self.classes_of_data("num_labels")
        super().setup(stage)

    def check_output(self, shape: tuple[int, ...], data: object) -> None:
        """Require one logit per label."""
        if shape != (2, self.num_labels):
            raise UserError(
                f"{type(self.network).__name__} gives {shape} for 2 samples; the data has {self.num_labels} labels, "
                f"expected {(2, self.num_labels)}. A network with an argument num_classes gets it from the data."
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits `(B, K)`, or probabilities if the loss needs them."""
        return convert(super().forward(inputs), self.network_output, self.output_scale)

    def make_metrics(self) -> MetricCollection:
        """Create accuracy over all labels, F1 as the mean over labels, and the share of samples without a mistake."""
        labels = self.num_labels or 2
        options: dict[str, Any] = {"threshold": self.threshold, "validate_args": False}
        return MetricCollection(
            {
                "accuracy": MultilabelAccuracy(labels, average="micro", **options),
                "f1": LabelF1(labels, average="macro", **options),
                "exact_match": ExactMatch(labels, **options),
            },
            compute_groups=[["accuracy", "f1"], ["exact_match"]],  # else torchmetrics compares their states on the host
        )

    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """Return which labels apply `(B, K)` bool, and the probability of each `(B, K)`."""
        probabilities = self.probabilities(output)
        return {"labels": probabilities >= self.threshold, "probability": probabilities}

    def probabilities(self, output: Tensor) -> Tensor:
        """Return the probability of each label `(B, K)`, from what `forward` returns."""
        return self._probability(output)
