"""Mean squared logarithmic error: ratios count, not differences."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.losses.reduction import ReducedLoss, Reduction, as_float32, reduce
from lightning_modules.losses.tensor_checks import require_same_shape, require_values

_ABOVE_MINUS_ONE = -1 + torch.finfo(torch.float32).eps / 2


def msle(output: Tensor, target: Tensor, floor: float | None = None, reduction: Reduction = "mean") -> Tensor:
    """Compute the mean squared logarithmic error; see `MSLELoss` for the formula, arguments, shapes and errors.

    Example:
        >>> msle(torch.tensor([3.0, 5.0]), torch.tensor([2.5, 5.0]))
        tensor(0.0089)
    """
    require_same_shape(output, target)
    require_values("target", target, low=_ABOVE_MINUS_ONE)
    output = as_float32(output)
    if floor is None:
        _require_above_minus_one(output)
        log = torch.log1p(output)
    else:
        above = output.clamp(min=floor)
        log = torch.log1p(above) + (output - above) / (1 + floor)
    return reduce(F.mse_loss(log, torch.log1p(target.to(log.dtype)), reduction="none"), reduction)


def _require_above_minus_one(output: Tensor) -> None:
    try:
        require_values("output", output, low=_ABOVE_MINUS_ONE)
    except ValueError as error:
        advice = "End the network in softplus, or set `floor`, e.g. -0.5."
        raise ValueError(f"The logarithmic error is defined above -1 only: {error} {advice}") from None


class MSLELoss(ReducedLoss):
    r"""Mean squared logarithmic error: mean (log1p(y) − log1p(ŷ))², ŷ the output and y the target.

    It is defined above −1 only. With a `floor`, log1p(ŷ) is replaced below it by its tangent at the floor, so that a
    prediction there still gets a gradient that pulls it back; at and above the floor nothing changes. The function is
    `msle`.

    Args:
        floor: Where the tangent starts, in (−1, 0]. Without it, a prediction of −1 or less raises a `ValueError` on the
            CPU and gives a NaN loss on an accelerator, where checking it would make the device wait.
        reduction: `mean`, `sum` or `none`.

    Shape:
        - output: predictions `(B, ...)` above −1, or any number with a floor.
        - target: true values `(B, ...)` above −1; intended for positive values of a large range.
        - loss: `()`, or `(B, ...)` for `none`.

    Raises:
        ValueError: A floor outside (−1, 0]; an unknown reduction. When called: shapes that differ, an output that is
            not floating point, or (on the CPU) a target, or without a floor a prediction, that is −1 or less or not
            finite.

    Example:
        >>> MSLELoss(floor=-0.5)(torch.tensor([-2.0]), torch.tensor([0.0]))
        tensor(13.6393)
    """

    def __init__(self, floor: float | None = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        if floor is not None and not -1 < floor <= 0:
            raise ValueError(f"floor must be above -1 and at most 0, got {floor}.")
        self.floor = floor

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return msle(output, target, self.floor, self.reduction)
