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


class Expectation(NamedTuple):
    """What a loss wants.

    Args:
        output: `logits`, `probabilities`, `log_probabilities`, or `numbers` of any kind.
        over: `classes`: channels that exclude one another, a softmax; `elements`: each by itself.
        soft: Whether targets may be shares of classes `(B, C, …)` instead of class numbers.
    """

    output: Literal["logits", "probabilities", "log_probabilities", "numbers"]
    over: Literal["classes", "elements"]
    soft: bool = True


_CLASSES = Expectation("logits", "classes")
_ELEMENTS = Expectation("logits", "elements")
_NUMBERS = Expectation("numbers", "elements")
_KNOWN: dict[type[nn.Module], Expectation] = {
    nn.CrossEntropyLoss: _CLASSES,
    WeightedCrossEntropyLoss: _CLASSES,
    SoftmaxFocalLoss: _CLASSES,
    nn.MultiMarginLoss: Expectation("logits", "classes", soft=False),
    nn.NLLLoss: Expectation("log_probabilities", "classes", soft=False),
    nn.BCEWithLogitsLoss: _ELEMENTS,
    nn.MultiLabelSoftMarginLoss: _ELEMENTS,
    SigmoidCrossEntropyLoss: _ELEMENTS,
    SigmoidFocalLoss: _ELEMENTS,
    nn.BCELoss: Expectation("probabilities", "elements"),
    ProbabilityBCELoss: Expectation("probabilities", "elements"),
    nn.MSELoss: _NUMBERS,
    nn.L1Loss: _NUMBERS,
    nn.HuberLoss: _NUMBERS,
    nn.SmoothL1Loss: _NUMBERS,
    RMSELoss: _NUMBERS,
    MSLELoss: _NUMBERS,
}


def expectation(loss: nn.Module) -> Expectation | None:
    """What a loss wants, or None where that is not known.

    A loss of your own says so by an attribute `expects = Expectation(…)`.

    Example:
        >>> expectation(nn.CrossEntropyLoss())
        Expectation(output='logits', over='classes', soft=True)
    """
    own = getattr(loss, "expects", None)
    if isinstance(own, Expectation):
        return own
    if isinstance(loss, TverskyLoss):
        return Expectation("logits", "classes", soft=False) if loss.mode == "multiclass" else _ELEMENTS
    return next((_KNOWN[kind] for kind in type(loss).__mro__ if kind in _KNOWN), None)
