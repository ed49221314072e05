"""Focal loss on logits of binary or multi-label targets, or of one class against the rest."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from foundation.argument_checks import require_between
from lightning_modules.losses.reduction import (
    ReducedLoss,
    Reduction,
    closed_form_applies,
    differentiable_gradient,
    labelled_samples,
    reduce,
    target_weights,
)
from lightning_modules.losses.sigmoid_targets import sigmoid_inputs
from lightning_modules.losses.tensor_checks import register_weights


def sigmoid_focal_loss(
    output: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    alpha: Tensor | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Compute the binary focal loss; see `SigmoidFocalLoss` for the formula, arguments, shapes and errors.

    Example:
        >>> sigmoid_focal_loss(torch.tensor([2.0, -2.0]), torch.tensor([1, 0]))
        tensor(0.0018)
    """
    inputs = sigmoid_inputs(output, target, ignore_index)
    target = inputs.target.to(inputs.logits.dtype)
    positive, negative = target, 1 - target
    if alpha is not None:
        alpha = inputs.along_classes("alpha", alpha).to(target.dtype)
        positive, negative = positive * alpha, negative * (1 - alpha)
    formula = _Focal.apply if closed_form_applies(positive) else _focal
    cost: Tensor = formula(inputs.logits, positive, negative, gamma)
    return reduce(inputs.without_ignored(cost), reduction, inputs.divisor())


def _focal(x: Tensor, positive: Tensor, negative: Tensor, gamma: float) -> Tensor:
    """Compute positive · (1 − p)^γ · −log p + negative · p^γ · −log(1 − p) from log p and log(1 − p)."""
    log_p, log_q = F.logsigmoid(x), F.logsigmoid(-x)
    return -(positive * (gamma * log_q).exp() * log_p + negative * (gamma * log_p).exp() * log_q)


class _Focal(torch.autograd.Function):
    """Compute `_focal`, with its derivative in closed form, which takes half the memory passes of autograd."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, positive: Tensor, negative: Tensor, gamma: float) -> Tensor:
        log_p, p = F.logsigmoid(x), torch.sigmoid(x)
        q = torch.sigmoid(-x)
        log_q = F.logsigmoid(-x) if gamma == 0 else log_p - x
        positive_factor, negative_factor = positive * q.pow(gamma), negative * p.pow(gamma)
        value = (log_p * positive_factor).addcmul_(log_q, negative_factor).neg_()
        if ctx.needs_input_grad[0]:
            slope = torch.sub(p, log_q.mul_(q), alpha=gamma).mul_(negative_factor)
            slope.addcmul_(torch.sub(q, log_p.mul_(p), alpha=gamma), positive_factor, value=-1)
            ctx.save_for_backward(slope, x, positive, negative)
            ctx.gamma = gamma
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        slope, x, positive, negative = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again
            return differentiable_gradient(_focal, x, (positive, negative, ctx.gamma), grads), None, None, None
        return grads[0] * slope, None, None, None


class SigmoidFocalLoss(ReducedLoss):
    r"""Focal loss −α_t (1 − p_t)^γ log p_t with p = sigmoid(output), p_t = p where the target is 1 and 1 − p where 0.

    α_t is α where the target is 1 and 1 − α where it is 0. For a target q between 0 and 1 (MixUp), the loss is q times
    that of 1 plus 1 − q times that of 0; torchvision's puts q inside the power instead. γ = 0 without α is
    `sigmoid_cross_entropy`. The function is `sigmoid_focal_loss`.

    Args:
        gamma: γ ≥ 0: 0 is binary cross-entropy; with 2, an element of p_t = 0.9 counts a hundredth.
        alpha: α in [0, 1], one number per class or one for all: above ½ for recall, below for precision; 0 leaves out
            the positives. None weights positives and negatives by 1.
        ignore_index: Target that means "not labelled", e.g. -1.
        reduction: `mean` over the labelled elements (the paper divides by the number of positives), `sum` or `none`.

    Shape:
        As `SigmoidCrossEntropyLoss`.

    Raises:
        ValueError: A negative gamma; an alpha outside [0, 1]; an unknown reduction. When called: shapes that do not fit
            together, a number of alphas other than C, or (on the CPU) a target outside [0, 1] or a class number out of
            range.

    Example:
        >>> SigmoidFocalLoss(gamma=2.0, alpha=0.25)(torch.zeros(2), torch.tensor([1, 0]))
        tensor(0.0866)

    Reference:
        Lin, Goyal, Girshick, He, Dollár: Focal loss for dense object detection, 2017.
    """

    alpha: Tensor | None

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Sequence[float] | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        require_between("gamma", gamma, 0)
        register_weights(self, "alpha", alpha, zeros=True)
        if self.alpha is not None:
            require_between("alpha", self.alpha.max().item(), 0, 1)
        self.gamma = gamma
        self.ignore_index = ignore_index

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return sigmoid_focal_loss(output, target, self.gamma, self.alpha, self.ignore_index, self.reduction)

    def mean_weight(self, output: Tensor, target: Tensor) -> Tensor | float:
        """Return the number of labelled targets, per target of a sample; see `ReducedLoss`."""
        return labelled_samples(target, self.ignore_index)

    def target_weights(self, target: Tensor) -> Tensor | None:
        """Return 1 for each labelled target and 0 for the others; None if all are labelled."""
        return target_weights(target, self.ignore_index)
