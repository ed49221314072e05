"""Mean squared logarithmic error: ratios count, not differences."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foundation.argument_checks import require_choice
from lightning_modules.losses.reduction import REDUCTIONS, Reduction, as_float32, reduce
from lightning_modules.losses.tensor_checks import require_same_shape, require_values

_ABOVE_MINUS_ONE = -1 + torch.finfo(torch.float32).eps / 2


def msle(output: Tensor, target: Tensor, floor: float | None = None, reduction: Reduction = "mean") -> Tensor:
    r"""Mean squared logarithmic error: mean (log1p(y) − log1p(ŷ))², ŷ the output and y the target.

    It is defined above −1 only. With a `floor`, log1p(ŷ) goes on below it as its own tangent there, so a prediction
    that strays is pulled back; at and above the floor nothing changes.

    Args:
        output: Predictions above −1, or any number with a floor.
        target: True values above −1; meant for positive values of large range.
        floor: Where the tangent starts, in (−1, 0]. Without one, a prediction of −1 or less is a `ValueError` on the
            CPU and a NaN loss on an accelerator, where looking would make the device wait.
        reduction: `mean`, `sum` or `none`.

    Shape:
        `(B, ...)`, `(B, ...)` → `()`, or `(B, ...)` for `none`.

    Raises:
        ValueError: The shapes differ, the output is not floating point, or (on the CPU) a target, or without a floor a
            prediction, is −1 or less or not finite.

    Example:
        >>> msle(torch.tensor([3.0, 5.0]), torch.tensor([2.5, 5.0]))
        tensor(0.0089)
    """
    require_same_shape(output, target)
    require_values("target", target, low=_ABOVE_MINUS_ONE)
    output = as_float32(output)
    if floor is None:
        _require_defined(output)
        log = torch.log1p(output)
    else:
        above = output.clamp(min=floor)
        log = torch.log1p(above) + (output - above) / (1 + floor)
    return reduce(F.mse_loss(log, torch.log1p(target.to(log.dtype)), reduction="none"), reduction)


def _require_defined(output: Tensor) -> None:
    try:
        require_values("output", output, low=_ABOVE_MINUS_ONE)
    except ValueError as error:
        ways = "End the network in softplus, or give `floor`, e.g. -0.5."
        raise ValueError(f"The logarithmic error is defined above -1 only: {error} {ways}") from None


class MSLELoss(nn.Module):
    """Mean squared logarithmic error as a module: see `msle`.

    Args:
        floor: Where log1p goes on as its tangent, in (−1, 0]; None keeps the domain ŷ > −1.
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: A floor outside (−1, 0], or an unknown reduction.

    Example:
        >>> MSLELoss(floor=-0.5)(torch.tensor([-2.0]), torch.tensor([0.0]))
        tensor(13.6393)
    """

    def __init__(self, floor: float | None = None, reduction: Reduction = "mean") -> None:
        super().__init__()
        if floor is not None and not -1 < floor <= 0:
            raise ValueError(f"floor must be above -1 and at most 0, got {floor}.")
        require_choice("reduction", reduction, REDUCTIONS)
        self.floor = floor
        self.reduction: Reduction = reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """`(B, ...)`, `(B, ...)` → `()`."""
        return msle(output, target, self.floor, self.reduction)
