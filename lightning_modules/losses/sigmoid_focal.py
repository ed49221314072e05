"""Focal loss over yes-or-no questions: binary, multi-label, one class against the rest."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from foundation.argument_checks import require_between, require_choice
from lightning_modules.losses.reduction import REDUCTIONS, Reduction, reduce
from lightning_modules.losses.sigmoid_targets import prepare
from lightning_modules.losses.tensor_checks import add_weights, by_class


def sigmoid_focal_loss(
    output: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    alpha: Tensor | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Focal loss −α_t (1 − p_t)^γ log p_t with p = sigmoid(output), p_t = p where the target is 1 and 1 − p where 0.

    α_t is α where the target is 1 and 1 − α where it is 0. For a target q between 0 and 1 (MixUp) the loss is
    q times that of 1 plus 1 − q times that of 0; torchvision's puts q inside the power instead. γ = 0 without α is
    `sigmoid_cross_entropy`.

    Args:
        output: Logits, not probabilities.
        target: 0 and 1, or anything between; or class numbers, which become one-hot.
        gamma: γ ≥ 0: 0 is binary cross-entropy; with 2, an element of p_t = 0.9 counts a hundredth.
        alpha: α in [0, 1], one a class or one for all: above ½ for recall, below for precision. None weighs by 1.
        ignore_index: The target that means "not labelled", e.g. -1.
        reduction: `mean` over the labelled elements (the paper divides by the number of positives), `sum` or `none`.

    Shape:
        `(B, ...)`, `(B, ...)`; or `(B, 1, ...)`, `(B, ...)`; or `(B, C, ...)`, `(B, ...)` → `()`; for `none` as the
        logits, without a channel of size 1 that the target lacks.

    Raises:
        ValueError: Shapes that do not go together; a number of alphas that is not C; (on the CPU) a target outside
            [0, 1] or a class number out of range.

    Example:
        >>> sigmoid_focal_loss(torch.tensor([2.0, -2.0]), torch.tensor([1, 0]))
        tensor(0.0018)

    Reference:
        Lin, Goyal, Girshick, He, Dollár: Focal loss for dense object detection, 2017.
    """
    labels = prepare(output, target, ignore_index)
    target = labels.target.to(labels.logits.dtype)
    yes, no = target, 1 - target
    if alpha is not None:
        alpha = by_class("alpha", alpha, labels.logits).to(target.dtype)
        yes, no = yes * alpha, no * (1 - alpha)
    cost: Tensor = _Focal.apply(labels.logits, yes, no, gamma)
    return reduce(labels.keep(cost), reduction, labels.total())


class _Focal(torch.autograd.Function):
    """yes · (1 − p)^γ · −log p + no · p^γ · −log(1 − p), with its derivative: half the passes of autograd's.

    And no 0^(γ − 1), which autograd has at p = 1 for γ < 1.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, yes: Tensor, no: Tensor, gamma: float) -> Tensor:
        log_p, p = F.logsigmoid(x), torch.sigmoid(x)
        q = torch.sigmoid(-x)
        log_q = F.logsigmoid(-x) if gamma == 0 else log_p - x
        weight_yes, weight_no = yes * q.pow(gamma), no * p.pow(gamma)
        value = (log_p * weight_yes).addcmul_(log_q, weight_no).neg_()
        if ctx.needs_input_grad[0]:
            slope = torch.sub(p, log_q.mul_(q), alpha=gamma).mul_(weight_no)
            slope.addcmul_(torch.sub(q, log_p.mul_(p), alpha=gamma), weight_yes, value=-1)
            ctx.save_for_backward(slope)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return gradient * slope, None, None, None


class SigmoidFocalLoss(nn.Module):
    """Binary and multi-label focal loss as a module: see `sigmoid_focal_loss`.

    Args:
        gamma: γ ≥ 0: 0 is binary cross-entropy; the larger, the less an easy element counts.
        alpha: In [0, 1], one a class or one for all: the weight of positives, 1 − α that of negatives.
        ignore_index: The target that means "not labelled", e.g. -1.
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: A negative gamma; an alpha outside [0, 1]; an unknown reduction.

    Example:
        >>> SigmoidFocalLoss(gamma=2.0, alpha=0.25)(torch.zeros(2), torch.tensor([1, 0]))
        tensor(0.0866)
    """

    alpha: Tensor | None

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Sequence[float] | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        require_between("gamma", gamma, 0)
        require_choice("reduction", reduction, REDUCTIONS)
        add_weights(self, "alpha", alpha)
        if self.alpha is not None:
            require_between("alpha", self.alpha.max().item(), 0, 1)
        self.gamma = gamma
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """`(B, ...)`, `(B, ...)` → `()`."""
        return sigmoid_focal_loss(output, target, self.gamma, self.alpha, self.ignore_index, self.reduction)
