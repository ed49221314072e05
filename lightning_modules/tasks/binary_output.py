"""One yes-or-no answer from what a network gives."""

from typing import Literal

from torch import Tensor, nn

from foundation.errors import UserError
from lightning_modules.losses.input_contract import input_contract

Kind = Literal["logits", "probabilities"]
KINDS: tuple[Kind, ...] = ("logits", "probabilities")


def one_logit(output: Tensor) -> Tensor:
    """`(B, 1, …)` or `(B, 2, …)` → `(B, …)`: of two logits the difference, whose sigmoid is the second's softmax.

    Example:
        >>> import torch
        >>> one_logit(torch.tensor([[1.0, 3.0]])), one_logit(torch.tensor([[2.0]]))
        (tensor([2.]), tensor([2.]))
    """
    return output[:, 1] - output[:, 0] if output.shape[1] == 2 else output.squeeze(1)


def wanted(loss: nn.Module, given: Kind) -> Kind:
    """What goes into the loss: probabilities where it wants them, else what the network gives.

    Raises:
        UserError: The network gives probabilities and the loss wants logits.
    """
    expected = input_contract(loss)
    if expected is None or expected.output == given:
        return given
    if given == "probabilities":
        raise UserError(
            f"{type(loss).__name__} wants {expected.output}, but network_output says that the network gives "
            "probabilities: take its last sigmoid away and set network_output to logits, or choose losses/bce.yaml."
        )
    return "probabilities" if expected.output == "probabilities" else "logits"


def convert(value: Tensor, given: Kind, to: Kind) -> Tensor:
    """Logits as probabilities, where that is what one wants.

    Example:
        >>> import torch
        >>> convert(torch.zeros(1), "logits", "probabilities")
        tensor([0.5000])
    """
    return value.sigmoid() if given == "logits" and to == "probabilities" else value
