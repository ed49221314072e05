"""Images or rows of numbers into yes or no."""

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAccuracy, BinaryAUROC, BinaryF1Score

from foundation.argument_checks import require_between, require_choice
from foundation.errors import UserError
from lightning_modules.base.task import Task
from lightning_modules.losses.sigmoid_cross_entropy import SigmoidCrossEntropyLoss
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.schedulers.factory import ScheduleFactory
from lightning_modules.tasks.binary_output import KINDS, Kind, convert, one_logit, wanted


class BinaryClassifier(Task):
    """Answer a yes-or-no question; logs loss, accuracy, F1 of yes and the area under the ROC curve.

    Args:
        network: Maps inputs `(B, …)` to one logit `(B, 1)`, or to two `(B, 2)`, of which the difference counts.
        optimizer: Makes the optimizer from the parameters.
        loss: Called as `loss(logits, target)`, both `(B,)`, the target 0 or 1; default binary cross-entropy. A loss
            that wants probabilities gets the sigmoid of the logits.
        scheduler: Makes the learning-rate schedule; `None` keeps the rate.
        channels_last: See `SupervisedModule`.
        parameter_groups: See `SupervisedModule`.
        network_output: `probabilities` where the network ends in a sigmoid itself: then of shape `(B, 1)`.
        threshold: In [0, 1]: from this probability on the answer is yes.

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
        network_output: Kind = "logits",
        threshold: float = 0.5,
        parameter_groups: ParameterGroups | None = None,
    ) -> None:
        super().__init__(
            network, loss or SigmoidCrossEntropyLoss(), optimizer, scheduler, channels_last, parameter_groups
        )
        require_between("threshold", threshold, 0, 1)
        require_choice("network_output", network_output, KINDS)
        self.network_output: Kind = network_output
        self.threshold = threshold

    def check_output(self, shape: tuple[int, ...], data: object) -> None:
        """One logit a sample, or two."""
        if shape not in ((2, 1), (2, 2)) or (shape == (2, 2) and self.network_output == "probabilities"):
            raise UserError(
                f"{type(self.network).__name__} gives {shape} for 2 samples; a yes-or-no question wants (2, 1), or "
                "(2, 2) logits: set num_classes to 1 or 2, or choose lightning_modules.ImageClassifier for more."
            )

    @property
    def output(self) -> Kind:
        """What `forward` gives and the loss gets."""
        return wanted(self.loss, self.network_output)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `(B,)`, or probabilities where the loss wants them."""
        return convert(one_logit(super().forward(inputs)), self.network_output, self.output)

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss; torch's own want targets in floating point."""
        return super().criterion(output, yes(target).to(output.dtype))

    def batch_metrics(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Share of the batch answered right."""
        answer = self._probability(output) >= self.threshold
        return {"accuracy": (answer == (yes(target) > 0.5)).float().mean()}

    def make_metrics(self) -> MetricCollection:
        """Accuracy, F1 of yes, area under the ROC curve (of 200 thresholds: its memory does not grow)."""
        return MetricCollection(
            {
                "accuracy": BinaryAccuracy(self.threshold, validate_args=False),
                "f1": BinaryF1Score(self.threshold, validate_args=False),
                "auroc": BinaryAUROC(thresholds=200, validate_args=False),
            }
        )

    def measured(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities and whole targets."""
        return self._probability(output), (target > 0.5).long()

    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """Class `(B,)`, 0 or 1, and the probability of class 1 `(B,)`."""
        yes = self._probability(output)
        return {"class": (yes >= self.threshold).long(), "probability_of_yes": yes}

    def logged_metrics(self) -> set[str]:
        """Also the training accuracy."""
        return super().logged_metrics() | {"train/accuracy"}

    def probabilities(self, output: Tensor) -> Tensor:
        """Of no and of yes `(B, 2)`, from what `forward` gives."""
        yes = self._probability(output)
        return torch.stack([1 - yes, yes], dim=1)

    def log_probabilities(self, output: Tensor) -> Tensor:
        """Their logarithms `(B, 2)`; from logits exact also where a probability is too small for its dtype."""
        value = output.float()
        if self.output == "logits":
            return torch.stack([logsigmoid(-value), logsigmoid(value)], dim=1)
        value = value.clamp(torch.finfo(value.dtype).tiny, 1 - torch.finfo(value.dtype).eps / 2)
        return torch.stack([(-value).log1p(), value.log()], dim=1)

    def _probability(self, output: Tensor) -> Tensor:
        return convert(output.float(), self.output, "probabilities")


def yes(target: Tensor) -> Tensor:
    """Targets `(B,)`; of shares of no and yes `(B, 2)`, which mixed images have, those of yes."""
    return target[:, 1] if target.ndim == 2 else target
