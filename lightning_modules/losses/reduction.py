"""Reduction and precision shared by the losses: compute in float32, then return the mean, the sum or all values."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from foundation.argument_checks import require_choice
from foundation.compat.torch import transforms_active
from lightning_modules.losses.tensor_checks import labelled, require_floating, usable_labels

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS: tuple[Reduction, ...] = ("mean", "sum", "none")


class ReducedLoss(nn.Module):
    """Base class of losses that take a `reduction`.

    Args:
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: The reduction is none of these.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        require_choice("reduction", reduction, REDUCTIONS)
        self.reduction: Reduction = reduction

    per_sample: bool = True
    """Whether the mean over a batch is one over its samples, so that each of them has a loss of its own."""

    def mean_weight(self, output: Tensor, target: Tensor) -> Tensor | float:
        """Return what the mean over a batch divides by, in samples; gradient accumulation weighs batches with it."""
        return float(len(output))

    def target_weights(self, target: Tensor) -> Tensor | None:
        """Return the weight of each target in the mean, with the shape of the targets; None if all are 1."""
        return None


def labelled_samples(target: Tensor, ignore_index: int | None, weights: Tensor | None = None) -> Tensor | float:
    """Return the number of labelled targets, divided by the number of targets that a sample has.

    Args:
        target: Class numbers `(B, …)`, or targets of another kind if there are no weights.
        ignore_index: Target that means "not labelled"; None if there is none.
        weights: Weight of each class `(C,)`, with which its targets count.

    Example:
        >>> labelled_samples(torch.tensor([[1, 0], [0, 255]]), 255)
        tensor(1.5000)
    """
    if len(target) == 0 or (ignore_index is None and weights is None):
        return float(len(target))
    target = usable_labels(target)
    valid = labelled(target, ignore_index)
    if weights is None:
        return float(len(target)) if valid is None else valid.sum() / target[0].numel()
    counted = weights.flatten()[(target if valid is None else target.where(valid, 0)).long()]
    return (counted if valid is None else counted * valid).sum() / target[0].numel()


def target_weights(target: Tensor, ignore_index: int | None, weights: Tensor | None = None) -> Tensor | None:
    """Return the weight of each target in the mean of a loss; None if all are 1.

    Args:
        target: Class numbers `(B, …)`, or targets of another kind if there are no weights.
        ignore_index: Target that means "not labelled"; None if there is none.
        weights: Weight of each class `(C,)`.

    Example:
        >>> target_weights(torch.tensor([1, 0, -100]), -100, torch.tensor([1.0, 3.0]))
        tensor([3., 1., 0.])
    """
    target = usable_labels(target)
    valid = labelled(target, ignore_index)
    if weights is None:
        return None if valid is None else valid.float()
    counted = weights.flatten()[(target if valid is None else target.where(valid, 0)).long()]
    return counted if valid is None else counted * valid


def reduce(values: Tensor, reduction: Reduction, count: Tensor | int | None = None) -> Tensor:
    """Return the mean, the sum, or the values unchanged.

    The mean divides by `count`, by default the number of values. **If there is nothing to average, it is 0 with a zero
    gradient**: an empty batch, or one whose targets are all ignored, has no effect (torch's own losses give NaN).

    Args:
        values: Losses; 0 where a target is ignored.
        reduction: `mean`, `sum` or `none`.
        count: Divisor of the mean: a number of samples or a sum of weights.

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


def closed_form_applies(*targets: Tensor | None) -> bool:
    """Return whether a gradient in closed form can be used, which is faster than autograd's.

    It is one of predictions only, and is not for `torch.func`, and `torch.compile` fuses the formula itself.

    Args:
        *targets: Further tensors of the formula, which must not require a gradient.
    """
    if torch.compiler.is_compiling() or transforms_active():
        return False
    return not any(tensor is not None and tensor.requires_grad for tensor in targets)


def differentiable_gradient(
    formula: Callable[..., Tensor | tuple[Tensor, ...]], prediction: Tensor, rest: tuple[Any, ...], grads: Any
) -> Tensor:
    """Return the gradient of a formula in a form that can be differentiated again; for a backward pass.

    Args:
        formula: Called as `formula(prediction, *rest)`, differentiable by autograd.
        prediction: The tensor to differentiate for, as the forward pass got it.
        rest: Further arguments.
        grads: Gradients of the formula's outputs.
    """
    outputs = formula(prediction, *rest)
    (gradient,) = torch.autograd.grad(outputs, prediction, grads, create_graph=True)
    return gradient


LIMIT = 1e30
"""bfloat16 logits are clipped to ±1e30, so that their differences and sums stay finite in float32."""


class _Saturate(torch.autograd.Function):
    """Convert to float32 and clip to ±LIMIT; the gradient passes as if nothing had been clipped."""

    @staticmethod
    def forward(ctx: Any, output: Tensor) -> Tensor:
        ctx.dtype = output.dtype
        return output.float().clamp_(-LIMIT, LIMIT)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].to(ctx.dtype)


def as_float32(output: Tensor) -> Tensor:
    """Convert half-precision predictions to float32; float64 stays, for gradient checks.

    Raises:
        ValueError: The output is not floating point.

    Example:
        >>> as_float32(torch.tensor([1.5], dtype=torch.float16)).dtype
        torch.float32
    """
    require_floating("output", output)
    return output if output.dtype in (torch.float32, torch.float64) else output.float()


def logits_as_float32(logits: Tensor) -> Tensor:
    """Convert logits like `as_float32`, and clip those of bfloat16 so that no later sum overflows.

    Raises:
        ValueError: The logits are not floating point.

    Example:
        >>> logits_as_float32(torch.tensor([3e38], dtype=torch.bfloat16))
        tensor([1.0000e+30])
    """
    if logits.dtype == torch.bfloat16:
        if not closed_form_applies():
            full = logits.float()
            return full.clamp(-LIMIT, LIMIT).detach() + (full - full.detach())
        saturated: Tensor = _Saturate.apply(logits)
        return saturated
    return as_float32(logits)


def autocast_off(device: str) -> AbstractContextManager[Any]:
    """Switch autocast off within the context; does nothing on a device type that has no autocast.

    Example:
        >>> with torch.autocast("cpu", torch.bfloat16), autocast_off("cpu"):
        ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
        torch.float32
    """
    if torch.amp.is_autocast_available(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()
