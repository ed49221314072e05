"""What a loss wants to be fed: logits or probabilities, of classes that exclude one another or of single elements."""

from typing import Literal, NamedTuple

from torch import nn

from lightning_modules.losses.cross_entropy import WeightedCrossEntropyLoss
from lightning_modules.losses.focal import SoftmaxFocalLoss
from lightning_modules.losses.msle import MSLELoss
from lightning_modules.losses.overlap_losses import TverskyLoss
from lightning_modules.losses.probability_bce import ProbabilityBCELoss
from lightning_modules.losses.rmse import RMSELoss
from lightning_modules.losses.sigmoid_cross_entropy import SigmoidCrossEntropyLoss
from lightning_modules.losses.sigmoid_focal import SigmoidFocalLoss


class InputContract(NamedTuple):
    """What a loss wants.

    Args:
        output: `logits`, `probabilities`, `log_probabilities`, or `numbers` of any kind.
        over: `classes`: channels that exclude one another, a softmax; `elements`: each by itself.
        soft: Whether targets may be shares of classes `(B, C, …)` instead of class numbers.
    """

    output: Literal["logits", "probabilities", "log_probabilities", "numbers"]
    over: Literal["classes", "elements"]
    soft: bool = True


_CLASSES = InputContract("logits", "classes")
_ELEMENTS = InputContract("logits", "elements")
_NUMBERS = InputContract("numbers", "elements")
_KNOWN: dict[type[nn.Module], InputContract] = {
    nn.CrossEntropyLoss: _CLASSES,
    WeightedCrossEntropyLoss: _CLASSES,
    SoftmaxFocalLoss: _CLASSES,
    nn.MultiMarginLoss: InputContract("logits", "classes", soft=False),
    nn.NLLLoss: InputContract("log_probabilities", "classes", soft=False),
    nn.BCEWithLogitsLoss: _ELEMENTS,
    nn.MultiLabelSoftMarginLoss: _ELEMENTS,
    SigmoidCrossEntropyLoss: _ELEMENTS,
    SigmoidFocalLoss: _ELEMENTS,
    nn.BCELoss: InputContract("probabilities", "elements"),
    ProbabilityBCELoss: InputContract("probabilities", "elements"),
    nn.MSELoss: _NUMBERS,
    nn.L1Loss: _NUMBERS,
    nn.HuberLoss: _NUMBERS,
    nn.SmoothL1Loss: _NUMBERS,
    RMSELoss: _NUMBERS,
    MSLELoss: _NUMBERS,
}


def input_contract(loss: nn.Module) -> InputContract | None:
    """What a loss wants, or None where that is not known.

    A loss of your own says so by an attribute `expects = InputContract(…)`.

    Example:
        >>> input_contract(nn.CrossEntropyLoss())
        InputContract(output='logits', over='classes', soft=True)
    """
    own = getattr(loss, "expects", None)
    if isinstance(own, InputContract):
        return own
    if isinstance(loss, TverskyLoss):
        return InputContract("logits", "classes", soft=False) if loss.mode == "multiclass" else _ELEMENTS
    return next((_KNOWN[kind] for kind in type(loss).__mro__ if kind in _KNOWN), None)
