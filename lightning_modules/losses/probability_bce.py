"""Binary cross-entropy of probabilities, safe under mixed precision."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.losses.reduction import (
    ReducedLoss,
    Reduction,
    autocast_off,
    closed_form_applies,
    differentiable_gradient,
    reduce,
)
from lightning_modules.losses.tensor_checks import require_floating, require_same_shape, require_values


def probability_bce(output: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Compute the cross-entropy of probabilities; see `ProbabilityBCELoss` for the formula, shapes and errors.

    Example:
        >>> probability_bce(torch.tensor([0.9, 0.2]), torch.tensor([1.0, 0.0]))
        tensor(0.1643)
    """
    require_floating("output", output)
    if output.ndim == target.ndim + 1 and output.shape[1] == 1:
        output = output.squeeze(1)
    require_same_shape(output, target)
    require_values("target", target, low=0, high=1)
    try:
        require_values("output", output, low=0, high=1)
    except ValueError as error:
        raise ValueError(
            f"{error} These look like logits: use a loss on logits, or end the network in a sigmoid."
        ) from None
    target = target.double() if output.dtype == torch.float64 else target.float()
    with autocast_off(output.device.type):  # CUDA's autocast raises on F.binary_cross_entropy
        cost: Tensor = (_CrossEntropy.apply if closed_form_applies(target) else _cross_entropy)(output, target)
    return reduce(cost, reduction)


def _probability(output: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the nearest probability that is neither 0 nor 1; the gradient passes as if it were the output."""
    limits = torch.finfo(output.dtype)
    full = output.to(dtype)
    p = full + (full.clamp(limits.tiny, 1 - limits.eps / 2) - full).detach()
    if output.device.type != "cpu":  # values were not checked there: what is no probability gives NaN
        p = p.where((output >= 0) & (output <= 1), float("nan"))
    return p


def _cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Compute −y log p − (1 − y) log(1 − p)."""
    p = _probability(output, target.dtype)
    return -(target * p.log() + (1 - target) * torch.log1p(-p))


class _CrossEntropy(torch.autograd.Function):
    """Compute value and gradient at the nearest probability that is neither 0 nor 1."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, target: Tensor) -> Tensor:
        p = _probability(output, target.dtype)
        ctx.save_for_backward(p, target, output)
        ctx.dtype = output.dtype
        return F.binary_cross_entropy(p, target, reduction="none")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        p, target, output = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again
            return differentiable_gradient(_cross_entropy, output, (target,), grads), None
        return ((p - target) / (p * (1 - p)) * grads[0]).to(ctx.dtype), None


class ProbabilityBCELoss(ReducedLoss):
    r"""Binary cross-entropy −y log p − (1 − y) log(1 − p) of probabilities p, the output, and targets y.

    Use it for networks that must end in a sigmoid. If you have logits, `SigmoidCrossEntropyLoss` is more exact: a
    probability near 1 has few digits (in float32 sigmoid(30) is 1.0; in float16 sigmoid(9) already is).

    Outputs of exactly 0 and 1 count as the nearest number of the output's dtype that is neither, and get that number's
    gradient, which fits the dtype. `torch.nn.BCELoss` gives such an error the value 100 and the gradient 10¹², which is
    infinite in float16, and raises under CUDA's autocast. All other values are the same. The function is
    `probability_bce`.

    Args:
        reduction: `mean`, `sum` or `none`.

    Shape:
        - output: probabilities in [0, 1], `(B, ...)`, or `(B, 1)` for a target `(B,)`; half precision under autocast.
        - target: 0, 1 or between, `(B, ...)`.
        - loss: `()`, or `(B, ...)` for `none`.

    Raises:
        ValueError: An unknown reduction. When called: shapes that differ, or (on the CPU) outputs or targets outside
            [0, 1]; on an accelerator such an output gives NaN.

    Example:
        >>> ProbabilityBCELoss()(torch.tensor([1.0]), torch.tensor([1.0]))
        tensor(5.9605e-08)
    """

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return probability_bce(output, target, self.reduction)
