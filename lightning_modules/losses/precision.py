"""Half precision in, float32 inside: a loss is computed where its sums and exponentials fit."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from lightning_modules.losses.checks import require_floating

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
