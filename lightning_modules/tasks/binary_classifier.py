"""Classify images or rows of numbers as positive or negative."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAccuracy

from foundation.errors import UserError
from lightning_modules.tasks.defined_metrics import AUROC, F1
from lightning_modules.tasks.sigmoid_task import SigmoidTask, convert, one_logit


class BinaryClassifier(SigmoidTask):
    """Classify as negative (0) or positive (1); logs loss, accuracy, F1 of the positive class, and AUROC.

    F1 and AUROC are NaN, with a warning, where validation has no positive target, AUROC also without a negative one.

    Args:
        network: Maps inputs `(B, …)` to one logit `(B, 1)`, or to two `(B, 2)`, whose difference is used.
        optimizer: Creates the optimizer from the parameters.
        loss: Called as `loss(logits, target)`, both `(B,)`, the target 0 or 1; default binary cross-entropy. A loss
            that needs probabilities gets the sigmoid of the logits.
        network_output: `probabilities` if the network itself ends in a sigmoid; its output is then `(B, 1)`.
        threshold: In [0, 1]: a probability of at least this is predicted positive.
        **kwargs: `scheduler`, `channels_last` and `parameter_groups`, see `SupervisedModule`.

    Raises:
        ValueError: The threshold is outside [0, 1], or network_output is unknown.
    """

    def check_output(self, shape: tuple[int, ...], data: object) -> None:
        """Require one logit per sample, or two."""
        if shape not in ((2, 1), (2, 2)) or (shape == (2, 2) and self.network_output == "probabilities"):
            raise UserError(
                f"{type(self.network).__name__} gives {shape} for 2 samples; binary classification needs (2, 1), or "
                "(2, 2) logits: set num_classes to 1 or 2, or choose lightning_modules.ImageClassifier for more."
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits `(B,)`, or probabilities if the loss needs them."""
        return convert(one_logit(super().forward(inputs)), self.network_output, self.output_scale)

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss; mixed targets are reduced to the share of the positive class."""
        return super().criterion(output, positive_share(target))

    def batch_metrics(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the accuracy of the batch."""
        return super().batch_metrics(output, positive_share(target))

    def make_metrics(self) -> MetricCollection:
        """Create accuracy, F1 of the positive class, and AUROC (at 200 thresholds: its memory does not grow)."""
        return MetricCollection(
            {
                "accuracy": BinaryAccuracy(self.threshold, validate_args=False),
                "f1": F1(self.threshold, validate_args=False),
                "auroc": AUROC(thresholds=200, validate_args=False),
            },
            compute_groups=[["accuracy", "f1"], ["auroc"]],  # else torchmetrics compares their states on the host
        )

    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """Return the class `(B,)`, 0 or 1, and the probability of class 1 `(B,)`."""
        positive = self._probability(output)
        return {"class": (positive >= self.threshold).long(), "probability_of_positive": positive}

    def probabilities(self, output: Tensor) -> Tensor:
        """Return the probabilities of negative and positive `(B, 2)`, from what `forward` returns."""
        positive = self._probability(output)
        return torch.stack([1 - positive, positive], dim=1)

    def log_probabilities(self, output: Tensor) -> Tensor:
        """Return log-probabilities `(B, 2)`; from logits they are exact even where a probability underflows."""
        value = output.float()
        if self.output_scale == "logits":
            return torch.stack([logsigmoid(-value), logsigmoid(value)], dim=1)
        value = value.clamp(torch.finfo(value.dtype).tiny, 1 - torch.finfo(value.dtype).eps / 2)
        return torch.stack([(-value).log1p(), value.log()], dim=1)


def positive_share(target: Tensor) -> Tensor:
    """Return targets `(B,)` as they are; of the class shares `(B, 2)` of mixed images, return the positive one."""
    return target[:, 1] if target.ndim == 2 else target
