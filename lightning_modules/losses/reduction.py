"""The last step of a loss: one number a batch, or one a sample."""

from typing import Literal

import torch
from torch import Tensor

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS: tuple[Reduction, ...] = ("mean", "sum", "none")


def reduce(values: Tensor, reduction: Reduction, count: Tensor | int | None = None) -> Tensor:
    """Mean, sum, or the values as they are.

    The mean divides by `count`, by default the number of values. **Over nothing it is 0, with a zero gradient**: an
    empty batch, or one whose targets are all ignored, neither helps nor harms (torch's own losses give NaN there).

    Args:
        values: Losses; those that do not count are 0.
        reduction: `mean`, `sum` or `none`.
        count: What the sum is divided by: a number of samples or a sum of weights.

    Shape:
        `(...)` → `()`, or `(...)` for `none`.

    Example:
        >>> reduce(torch.tensor([1.0, 3.0]), "mean"), reduce(torch.tensor([]), "mean")
        (tensor(2.), tensor(0.))
    """
    if reduction == "none":
        return values
    total = values.sum()
    if reduction == "sum":
        return total
    if isinstance(count, Tensor):
        return total / torch.where(count > 0, count, 1)
    return total / max(values.numel() if count is None else count, 1)
