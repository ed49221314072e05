"""Images or rows of numbers into any number of labels."""

from typing import Any

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MultilabelAccuracy, MultilabelExactMatch, MultilabelF1Score

from foundation.argument_checks import require_between, require_choice
from foundation.errors import UserError
from lightning_modules.base.task import Task
from lightning_modules.losses.sigmoid_cross_entropy import SigmoidCrossEntropyLoss
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.schedulers.factory import ScheduleFactory
from lightning_modules.tasks.binary_output import KINDS, Kind, convert, wanted


class MultilabelClassifier(Task):
    """Say for each of K labels whether it applies; logs loss, accuracy, F1 (mean over labels) and exact matches.

    Args:
        network: Maps inputs `(B, …)` to logits `(B, K)`.
        optimizer: Makes the optimizer from the parameters.
        loss: Called as `loss(logits, target)`, both `(B, K)`, the target 0 or 1; default binary cross-entropy. A loss
            that wants probabilities gets the sigmoid of the logits.
        scheduler: Makes the learning-rate schedule; `None` keeps the rate.
        channels_last: See `SupervisedModule`.
        parameter_groups: See `SupervisedModule`.
        num_labels: K. By default that of the data; needed only with data that does not say it.
        network_output: `probabilities` where the network ends in a sigmoid itself.
        threshold: In [0, 1]: from this probability on a label applies.

    Raises:
        ValueError: A threshold outside [0, 1], or an unknown network_output.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        loss: nn.Module | None = None,
        scheduler: ScheduleFactory | LRSchedulerCallable | None = None,
        channels_last: bool = True,
        num_labels: int | None = None,
        network_output: Kind = "logits",
        threshold: float = 0.5,
        parameter_groups: ParameterGroups | None = None,
    ) -> None:
        super().__init__(
            network, loss or SigmoidCrossEntropyLoss(), optimizer, scheduler, channels_last, parameter_groups
        )
        require_between("threshold", threshold, 0, 1)
        require_choice("network_output", network_output, KINDS)
        self.num_labels = num_labels
        self.network_output: Kind = network_output
        self.threshold = threshold

    def setup(self, stage: str) -> None:
        """Take the number of labels from the data."""
        self.num_labels = getattr(getattr(self.trainer, "datamodule", None), "num_classes", self.num_labels)
        if self.num_labels is None:
            raise UserError(
                "The number of labels is unknown: give MultilabelClassifier(num_labels=…), "
                "or a data module that has num_classes."
            )
        super().setup(stage)

    def check_output(self, shape: tuple[int, ...], data: object) -> None:
        """One logit a label."""
        if shape != (2, self.num_labels):
            raise UserError(
                f"{type(self.network).__name__} gives {shape} for 2 samples; the data has {self.num_labels} labels, "
                f"expected {(2, self.num_labels)}: a network with an argument num_classes gets it from the data."
            )

    @property
    def output(self) -> Kind:
        """What `forward` gives and the loss gets."""
        return wanted(self.loss, self.network_output)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `(B, K)`, or probabilities where the loss wants them."""
        return convert(super().forward(inputs), self.network_output, self.output)

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss; torch's own want targets in floating point."""
        return super().criterion(output, target.to(output.dtype))

    def batch_metrics(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Share of the labels answered right."""
        answers = self._probability(output) >= self.threshold
        return {"accuracy": (answers == (target > 0.5)).float().mean()}

    def make_metrics(self) -> MetricCollection:
        """Accuracy over all labels, F1 as the mean over labels, share of samples without a mistake."""
        labels = self.num_labels or 2
        options: dict[str, Any] = {"threshold": self.threshold, "validate_args": False}
        return MetricCollection(
            {
                "accuracy": MultilabelAccuracy(labels, average="micro", **options),
                "f1": MultilabelF1Score(labels, average="macro", **options),
                "exact_match": MultilabelExactMatch(labels, **options),
            }
        )

    def measured(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities and whole targets."""
        return self._probability(output), (target > 0.5).long()

    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """Which labels apply `(B, K)` bool, and the probability of each `(B, K)`."""
        probabilities = self._probability(output)
        return {"labels": probabilities >= self.threshold, "probability": probabilities}

    def logged_metrics(self) -> set[str]:
        """Also the training accuracy."""
        return super().logged_metrics() | {"train/accuracy"}

    def probabilities(self, output: Tensor) -> Tensor:
        """Of each label `(B, K)`, from what `forward` gives."""
        return self._probability(output)

    def _probability(self, output: Tensor) -> Tensor:
        return convert(output.float(), self.output, "probabilities")
