"""Half precision in, float32 inside: a loss is computed where its sums and exponentials fit."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_modules.losses.tensor_checks import require_floating

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


LIMIT = 1e30
"""Logits of bfloat16 beyond ±1e30 count as ±1e30: their differences and sums then stay finite in float32."""


class _Saturate(torch.autograd.Function):
    """Float32 with magnitudes of at most LIMIT; the gradient passes as if nothing had been cut."""

    @staticmethod
    def forward(ctx: Any, output: Tensor) -> Tensor:
        ctx.dtype = output.dtype
        return output.float().clamp_(-LIMIT, LIMIT)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].to(ctx.dtype)


def as_float32(output: Tensor) -> Tensor:
    """Predictions in float32, whatever autocast made of them; float64 stays, for gradient checks.

    Raises:
        ValueError: The output is not floating point.

    Example:
        >>> as_float32(torch.tensor([1.5], dtype=torch.float16)).dtype
        torch.float32
    """
    require_floating("output", output)
    return output if output.dtype in (torch.float32, torch.float64) else output.float()


def logits_as_float32(logits: Tensor) -> Tensor:
    """Like `as_float32`, and up to the largest finite bfloat16 without overflow.

    Raises:
        ValueError: The logits are not floating point.

    Example:
        >>> logits_as_float32(torch.tensor([3e38], dtype=torch.bfloat16))
        tensor([1.0000e+30])
    """
    if logits.dtype == torch.bfloat16:
        saturated: Tensor = _Saturate.apply(logits)
        return saturated
    return as_float32(logits)


def autocast_off(device: str) -> AbstractContextManager[Any]:
    """Where every function runs in the dtype of its arguments; devices without autocast are so already.

    Example:
        >>> with torch.autocast("cpu", torch.bfloat16), autocast_off("cpu"):
        ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
        torch.float32
    """
    if torch.amp.is_autocast_available(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()
