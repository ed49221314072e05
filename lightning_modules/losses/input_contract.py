"""Input contract of a loss: whether it takes logits or probabilities, over exclusive classes or single elements."""

from typing import Literal, NamedTuple

from torch import nn

from lightning_modules.losses.cross_entropy import WeightedCrossEntropyLoss
from lightning_modules.losses.msle import MSLELoss
from lightning_modules.losses.overlap_losses import TverskyLoss
from lightning_modules.losses.probability_bce import ProbabilityBCELoss
from lightning_modules.losses.rmse import RMSELoss
from lightning_modules.losses.sigmoid_cross_entropy import SigmoidCrossEntropyLoss
from lightning_modules.losses.sigmoid_focal import SigmoidFocalLoss


class InputContract(NamedTuple):
    """The inputs that a loss accepts.

    Args:
        output: What the network must return: `logits`, `probabilities`, `log_probabilities`, or `numbers` of any kind.
        over: `classes`: the channels are classes that exclude one another, as under a softmax; `elements`: each element
            is compared with its own target.
        soft: Whether targets may be class probabilities `(B, C, …)` instead of class numbers.
    """

    output: Literal["logits", "probabilities", "log_probabilities", "numbers"]
    over: Literal["classes", "elements"]
    soft: bool = True


_CLASS_LOGITS = InputContract("logits", "classes")
_ELEMENT_LOGITS = InputContract("logits", "elements")
_PROBABILITIES = InputContract("probabilities", "elements")
_NUMBERS = InputContract("numbers", "elements")
_KNOWN: dict[type[nn.Module], InputContract] = {
    nn.CrossEntropyLoss: _CLASS_LOGITS,
    WeightedCrossEntropyLoss: _CLASS_LOGITS,
    nn.MultiMarginLoss: InputContract("logits", "classes", soft=False),
    nn.NLLLoss: InputContract("log_probabilities", "classes", soft=False),
    nn.BCEWithLogitsLoss: _ELEMENT_LOGITS,
    nn.MultiLabelSoftMarginLoss: _ELEMENT_LOGITS,
    SigmoidCrossEntropyLoss: _ELEMENT_LOGITS,
    SigmoidFocalLoss: _ELEMENT_LOGITS,
    nn.BCELoss: _PROBABILITIES,
    ProbabilityBCELoss: _PROBABILITIES,
    nn.MSELoss: _NUMBERS,
    nn.L1Loss: _NUMBERS,
    nn.HuberLoss: _NUMBERS,
    nn.SmoothL1Loss: _NUMBERS,
    RMSELoss: _NUMBERS,
    MSLELoss: _NUMBERS,
}


def input_contract(loss: nn.Module) -> InputContract | None:
    """Return the input contract of a loss, or None if it is unknown.

    A loss of your own declares it with an attribute `expects = InputContract(…)`.

    Example:
        >>> input_contract(nn.CrossEntropyLoss())
        InputContract(output='logits', over='classes', soft=True)
    """
    own = getattr(loss, "expects", None)
    if isinstance(own, InputContract):
        return own
    if isinstance(loss, TverskyLoss):
        return InputContract("logits", "classes", soft=False) if loss.mode == "multiclass" else _ELEMENT_LOGITS
    return next((_KNOWN[kind] for kind in type(loss).__mro__ if kind in _KNOWN), None)
