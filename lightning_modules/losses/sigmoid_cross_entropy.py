"""Binary cross-entropy on logits: binary, multi-label, or one class against the rest."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from foundation.argument_checks import require_between
from lightning_modules.losses.reduction import ReducedLoss, Reduction, labelled_samples, reduce, target_weights
from lightning_modules.losses.sigmoid_targets import sigmoid_inputs
from lightning_modules.losses.tensor_checks import register_weights


def sigmoid_cross_entropy(
    output: Tensor,
    target: Tensor,
    pos_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Compute the binary cross-entropy; see `SigmoidCrossEntropyLoss` for the formula, arguments, shapes and errors.

    Example:
        >>> import torch
        >>> sigmoid_cross_entropy(torch.tensor([[2.0], [0.0]]), torch.tensor([1, 0]))
        tensor(0.4100)
    """
    inputs = sigmoid_inputs(output, target, ignore_index)
    q = inputs.target.to(inputs.logits.dtype)
    if label_smoothing:
        q = q * (1 - label_smoothing) + label_smoothing / 2
    weight = None if pos_weight is None else inputs.along_classes("pos_weight", pos_weight).to(q.dtype)
    cost = F.binary_cross_entropy_with_logits(inputs.logits, q, pos_weight=weight, reduction="none")
    return reduce(inputs.without_ignored(cost), reduction, inputs.divisor())


class SigmoidCrossEntropyLoss(ReducedLoss):
    r"""Binary cross-entropy −w·q log p − (1 − q) log(1 − p) with p = sigmoid(output), q the target, w the pos_weight.

    It extends `torch.nn.functional.binary_cross_entropy_with_logits`: it also takes class numbers, (B,) targets for
    (B, 1) logits, integer targets and unlabelled elements. With smoothing ε, q = (1 − ε)·target + ε/2. The function is
    `sigmoid_cross_entropy`.

    Args:
        pos_weight: w ≥ 0, one number per class or one for all: above 1 for recall, below 1 for precision.
        label_smoothing: ε in [0, 1]: 0 is no smoothing, 1 makes every target ½.
        ignore_index: Target that means "not labelled", e.g. -1.
        reduction: `mean` over the labelled elements, `sum` or `none`.

    Shape:
        - output: logits `(B, ...)`, `(B, 1, ...)` or `(B, C, ...)`, not probabilities.
        - target: 0, 1 or between (MixUp), in the shape of the output or without its channel of size 1; or class numbers
          `(B, ...)` for logits `(B, C, ...)`, which become one-hot.
        - loss: `()`; for `none`, the shape of the output, without a channel of size 1 that the target lacks.

    Raises:
        ValueError: Weights that are negative, not finite or all 0; smoothing outside [0, 1]; an unknown reduction. When
            called: shapes that do not fit together, a number of weights other than C, or (on the CPU) a target outside
            [0, 1] or a class number out of range.

    Example:
        >>> import torch
        >>> SigmoidCrossEntropyLoss(ignore_index=-1)(torch.zeros(3), torch.tensor([1, 0, -1]))
        tensor(0.6931)
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        pos_weight: float | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        require_between("label_smoothing", label_smoothing, 0, 1)
        register_weights(self, "pos_weight", pos_weight, zeros=True)
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return sigmoid_cross_entropy(
            output, target, self.pos_weight, self.label_smoothing, self.ignore_index, self.reduction
        )

    def mean_weight(self, output: Tensor, target: Tensor) -> Tensor | float:
        """Return the number of labelled targets, per target of a sample; see `ReducedLoss`."""
        return labelled_samples(target, self.ignore_index)

    def target_weights(self, target: Tensor) -> Tensor | None:
        """Return 1 for each labelled target and 0 for the others; None if all are labelled."""
        return target_weights(target, self.ignore_index)
