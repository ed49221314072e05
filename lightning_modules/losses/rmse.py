"""Root mean squared error, in the unit of the target, with a gradient at zero error."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from foundation.argument_checks import require_choice
from lightning_modules.losses.reduction import REDUCTIONS, Reduction, as_float32, reduce
from lightning_modules.losses.tensor_checks import require_same_shape, require_values


def rmse(output: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    r"""Root mean squared error √(mean (y − ŷ)²), ŷ the output and y the target.

    Its gradient is (ŷ − y) / (N·RMSE): of length 1/√N however small the error, and 0 where the error is exactly 0 (the
    square root of a mean of squares would give NaN). The mean of the RMSE of batches is not the RMSE of their union.

    Args:
        output: Predictions, any real number.
        target: True values, finite.
        reduction: `mean`: the root over all elements; `none`: one a sample, over its features; `sum`: their sum.

    Shape:
        `(B, ...)`, `(B, ...)` → `()`, or `(B,)` for `none`.

    Raises:
        ValueError: The shapes differ, the output is not floating point, or (on the CPU) a target is not finite.

    Example:
        >>> import torch
        >>> rmse(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0]))
        tensor(3.5355)
    """
    require_same_shape(output, target)
    require_values("target", target)
    output = as_float32(output)
    squares = F.mse_loss(output, target.to(output.dtype), reduction="none")
    if reduction == "mean":
        return _root(reduce(squares, "mean"))
    features = math.prod(squares.shape[1:])
    by_sample = _root(squares.reshape(len(squares), features).sum(dim=1) / max(features, 1))
    return by_sample if reduction == "none" else by_sample.sum()


def _root(mean: Tensor) -> Tensor:
    """The square root, with gradient 0 at 0."""
    return mean.where(mean > 0, 1).sqrt().where(mean > 0, 0)


class RMSELoss(nn.Module):
    """Root mean squared error as a module: see `rmse`.

    Args:
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: An unknown reduction.

    Example:
        >>> import torch
        >>> RMSELoss()(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0]))
        tensor(3.5355)
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        require_choice("reduction", reduction, REDUCTIONS)
        self.reduction: Reduction = reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """`(B, ...)`, `(B, ...)` → `()`."""
        return rmse(output, target, self.reduction)
