"""Binary cross-entropy of probabilities, safe under mixed precision."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from foundation.argument_checks import require_choice
from lightning_modules.losses.reduction import REDUCTIONS, Reduction, autocast_off, reduce
from lightning_modules.losses.tensor_checks import require_floating, require_same_shape, require_values


def probability_bce(output: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    r"""Binary cross-entropy −y log p − (1 − y) log(1 − p) of probabilities p, the output.

    For networks that must end in a sigmoid; with logits at hand, `sigmoid_cross_entropy` loses nothing: a probability
    near 1 has few digits (sigmoid(30) is 1.0 in float32, and in float16 so is sigmoid(9)). Exactly 0 and 1 count as
    the nearest number of the output's dtype that is neither, and the gradient there is that number's: it fits the
    dtype. `torch.nn.BCELoss` gives 100 for such a miss and a gradient of 10¹², infinite in float16; it refuses CUDA's
    autocast. Everywhere else the values are the same.

    Args:
        output: Probabilities in [0, 1], float16 or bfloat16 under autocast.
        target: 0 and 1, or anything between.
        reduction: `mean`, `sum` or `none`.

    Shape:
        `(B, ...)`, `(B, ...)` → `()`, or `(B, ...)` for `none`. A `(B, 1)` output goes with a `(B,)` target.

    Raises:
        ValueError: The shapes differ; (on the CPU) outputs or targets outside [0, 1]. On an accelerator an output
            outside gives NaN.

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
    with autocast_off(output.device.type):  # CUDA's autocast refuses this function
        cost: Tensor = _CrossEntropy.apply(output, target)
    return reduce(cost, reduction)


class _CrossEntropy(torch.autograd.Function):
    """Value and gradient at the nearest probability that is neither 0 nor 1."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, target: Tensor) -> Tensor:
        limits = torch.finfo(output.dtype)
        p = output.to(target.dtype).clamp(limits.tiny, 1 - limits.eps / 2)
        if output.device.type != "cpu":  # where nobody looked: what is no probability gives NaN
            p = p.where((output >= 0) & (output <= 1), float("nan"))
        ctx.save_for_backward(p, target)
        ctx.dtype = output.dtype
        return F.binary_cross_entropy(p, target, reduction="none")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        p, target = ctx.saved_tensors
        return ((p - target) / (p * (1 - p)) * gradient).to(ctx.dtype), None


class ProbabilityBCELoss(nn.Module):
    """Binary cross-entropy of probabilities as a module: see `probability_bce`.

    Args:
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: An unknown reduction.

    Example:
        >>> ProbabilityBCELoss()(torch.tensor([1.0]), torch.tensor([1.0]))
        tensor(5.9605e-08)
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        require_choice("reduction", reduction, REDUCTIONS)
        self.reduction: Reduction = reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """`(B, ...)`, `(B, ...)` → `()`."""
        return probability_bce(output, target, self.reduction)
