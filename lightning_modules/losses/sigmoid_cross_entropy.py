"""Binary cross-entropy on logits, for one question a sample, for labels, for one class against the rest."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from foundation.argument_checks import require_between, require_choice
from lightning_modules.losses.reduction import REDUCTIONS, Reduction, reduce
from lightning_modules.losses.sigmoid_targets import prepare
from lightning_modules.losses.tensor_checks import add_weights, by_class


def sigmoid_cross_entropy(
    output: Tensor,
    target: Tensor,
    pos_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Binary cross-entropy −w·q log p − (1 − q) log(1 − p) with p = sigmoid(output), q the target, w the pos_weight.

    It is `torch.nn.functional.binary_cross_entropy_with_logits` that also takes class numbers, (B,) targets for (B, 1)
    logits, whole-number targets and unlabelled elements; with smoothing ε, q = (1 − ε)·target + ε/2.

    Args:
        output: Logits, not probabilities.
        target: 0 and 1, or anything between (MixUp); or class numbers, which become one-hot.
        pos_weight: w, one a class or one for all, ≥ 0: above 1 for recall, below for precision.
        label_smoothing: ε in [0, 1]: 0 none, 1 makes every target ½.
        ignore_index: The target that means "not labelled", e.g. -1.
        reduction: `mean` over the labelled elements, `sum` or `none`.

    Shape:
        `(B, ...)`, `(B, ...)`; or `(B, 1, ...)`, `(B, ...)`; or `(B, C, ...)`, `(B, ...)` → `()`; for `none` as the
        logits, without a channel of size 1 that the target lacks.

    Raises:
        ValueError: Shapes that do not go together; a number of weights that is not C; (on the CPU) a target outside
            [0, 1] or a class number out of range.

    Example:
        >>> import torch
        >>> sigmoid_cross_entropy(torch.tensor([[2.0], [0.0]]), torch.tensor([1, 0]))
        tensor(0.4100)
    """
    labels = prepare(output, target, ignore_index)
    q = labels.target.to(labels.logits.dtype)
    if label_smoothing:
        q = q * (1 - label_smoothing) + label_smoothing / 2
    weight = None if pos_weight is None else by_class("pos_weight", pos_weight, labels.logits).to(q.dtype)
    cost = F.binary_cross_entropy_with_logits(labels.logits, q, pos_weight=weight, reduction="none")
    return reduce(labels.keep(cost), reduction, labels.total())


class SigmoidCrossEntropyLoss(nn.Module):
    """Binary cross-entropy on logits as a module: see `sigmoid_cross_entropy`.

    Args:
        pos_weight: One a class or one for all, ≥ 0.
        label_smoothing: In [0, 1].
        ignore_index: The target that means "not labelled", e.g. -1.
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: Weights that are negative, not finite or all 0; smoothing outside [0, 1]; an unknown reduction.

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
        super().__init__()
        require_between("label_smoothing", label_smoothing, 0, 1)
        require_choice("reduction", reduction, REDUCTIONS)
        add_weights(self, "pos_weight", pos_weight)
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """`(B, ...)`, `(B, ...)` → `()`."""
        return sigmoid_cross_entropy(
            output, target, self.pos_weight, self.label_smoothing, self.ignore_index, self.reduction
        )
