"""Yes-or-no outputs: each is one logit, whose sigmoid is the probability of the positive class."""

from typing import Any, Literal

from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from foundation.argument_checks import require_between, require_choice
from foundation.errors import UserError
from lightning_modules.base.task import Task
from lightning_modules.losses.input_contract import input_contract
from lightning_modules.losses.sigmoid_cross_entropy import SigmoidCrossEntropyLoss

Scale = Literal["logits", "probabilities"]
SCALES: tuple[Scale, ...] = ("logits", "probabilities")


def one_logit(output: Tensor) -> Tensor:
    """Reduce `(B, 1, …)` or `(B, 2, …)` to `(B, …)`; the sigmoid of a difference of two logits is their softmax.

    Example:
        >>> import torch
        >>> one_logit(torch.tensor([[1.0, 3.0]])), one_logit(torch.tensor([[2.0]]))
        (tensor([2.]), tensor([2.]))
    """
    return output[:, 1] - output[:, 0] if output.shape[1] == 2 else output.squeeze(1)


def scale_for_loss(loss: nn.Module, network_output: Scale) -> Scale:
    """Return what to feed the loss: probabilities if it needs them, else what the network gives.

    Raises:
        UserError: The network gives probabilities and the loss needs logits.
    """
    expected = input_contract(loss)
    if expected is None or expected.output == network_output:
        return network_output
    if network_output == "probabilities":
        raise UserError(
            f"{type(loss).__name__} needs {expected.output}, but network_output says that the network gives "
            "probabilities: remove its last sigmoid and set network_output to logits, or choose losses/bce.yaml."
        )
    return "probabilities" if expected.output == "probabilities" else "logits"


def convert(value: Tensor, given: Scale, to: Scale) -> Tensor:
    """Convert logits to probabilities where `to` says so; otherwise return the value unchanged.

    Example:
        >>> import torch
        >>> convert(torch.zeros(1), "logits", "probabilities")
        tensor([0.5000])
    """
    return value.sigmoid() if given == "logits" and to == "probabilities" else value


class SigmoidTask(Task):
    """Base class of binary and multilabel classification.

    Args:
        network: Maps inputs to one logit per yes-or-no question.
        optimizer: Creates the optimizer from the parameters.
        loss: Called as `loss(logits, target)`, the target 0 or 1; default binary cross-entropy. A loss that needs
            probabilities gets the sigmoid of the logits.
        network_output: `probabilities` if the network itself ends in a sigmoid.
        threshold: In [0, 1]: a probability of at least this is predicted positive.
        **kwargs: `scheduler`, `channels_last` and `parameter_groups`, see `SupervisedModule`.

    Raises:
        ValueError: The threshold is outside [0, 1], or network_output is unknown.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        loss: nn.Module | None = None,
        network_output: Scale = "logits",
        threshold: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, loss or SigmoidCrossEntropyLoss(), optimizer, **kwargs)
        require_between("threshold", threshold, 0, 1)
        require_choice("network_output", network_output, SCALES)
        self.network_output: Scale = network_output
        self.threshold = threshold

    @property
    def output_scale(self) -> Scale:
        """What `forward` returns and the loss gets."""
        return scale_for_loss(self.loss, self.network_output)

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss; torch's own losses need floating-point targets."""
        return super().criterion(output, target.to(output.dtype))

    def batch_metrics(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the share of correct answers in the batch."""
        predicted = self._probability(output) >= self.threshold
        return {"accuracy": (predicted == (target > 0.5)).float().mean()}

    def metric_inputs(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and integer targets."""
        return self._probability(output), (target > 0.5).long()

    def _probability(self, output: Tensor) -> Tensor:
        return convert(output.float(), self.output_scale, "probabilities")
