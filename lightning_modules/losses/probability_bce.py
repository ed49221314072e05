"""Binary cross-entropy of probabilities, safe under mixed precision."""

import torch
from torch import Tensor, nn

from lightning_modules.losses.checks import require_choice, require_floating, require_same_shape, require_values
from lightning_modules.losses.reduction import REDUCTIONS, Reduction, reduce


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
    p = _inside(output)
    y = target.to(p.dtype)
    return reduce(-(y * p.log() + (1 - y) * torch.log1p(-p)), reduction)


def _inside(output: Tensor) -> Tensor:
    """Probabilities in float32, moved off 0 and 1; the gradient passes through the move."""
    low, high = torch.finfo(output.dtype).tiny, 1 - torch.finfo(output.dtype).eps / 2
    p = output if output.dtype == torch.float64 else output.float()
    with torch.no_grad():
        move = torch.where(p.abs() < low, low - p, torch.where(p == 1, high - p, 0))
    return p + move


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
