"""Root mean squared error: it has the unit of the target, and a gradient of 0 where the error is 0."""

import math

import torch.nn.functional as F
from torch import Tensor

from lightning_modules.losses.reduction import ReducedLoss, Reduction, as_float32, reduce
from lightning_modules.losses.tensor_checks import require_same_shape, require_values


def rmse(output: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Compute the root mean squared error; see `RMSELoss` for the formula, shapes and errors.

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
    """Take the square root, with gradient 0 at 0."""
    return mean.where(mean > 0, 1).sqrt().where(mean > 0, 0)


class RMSELoss(ReducedLoss):
    r"""Root mean squared error √(mean (y − ŷ)²), ŷ the output and y the target.

    Its gradient is (ŷ − y) / (N·RMSE): it has length 1/√N however small the error, and is 0 where the error is exactly
    0 (the square root of a mean of squares would give NaN there). The mean of the RMSE of several batches is not the
    RMSE over all their samples. The function is `rmse`.

    Args:
        reduction: `mean`: the root of the mean over all elements; `none`: one RMSE per sample, over its features;
            `sum`: the sum of these.

    Shape:
        - output: predictions `(B, ...)`, any real number.
        - target: true values `(B, ...)`, finite.
        - loss: `()`, or `(B,)` for `none`.

    Raises:
        ValueError: An unknown reduction. When called: shapes that differ, an output that is not floating point, or (on
            the CPU) a target that is not finite.

    Example:
        >>> import torch
        >>> RMSELoss()(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0]))
        tensor(3.5355)
    """

    per_sample = False

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return rmse(output, target, self.reduction)
