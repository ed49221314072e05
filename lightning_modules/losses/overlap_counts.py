"""Soft counts of pixels per class and the mean over classes, for the Dice, Jaccard and Tversky loss."""

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from lightning_modules.losses.reduction import (
    Reduction,
    closed_form_applies,
    differentiable_gradient,
    logits_as_float32,
    reduce,
)
from lightning_modules.losses.sigmoid_targets import SigmoidInputs, sigmoid_inputs
from lightning_modules.losses.tensor_checks import (
    along_classes,
    require_class_shapes,
    require_labels,
    require_values,
    usable_labels,
)

Mode = Literal["binary", "multiclass", "multilabel"]
Absent = Literal["ignore", "penalize"]
MODES: tuple[Mode, ...] = ("binary", "multiclass", "multilabel")
ABSENT: tuple[Absent, ...] = ("ignore", "penalize")


class Counts(NamedTuple):
    """Soft counts `(C,)` over the batch, or `(B, C)` per image; p are the probabilities, y the target."""

    both: Tensor  # Σ p·y
    predicted: Tensor  # Σ p
    actual: Tensor  # Σ y


def soft_counts(output: Tensor, target: Tensor, mode: Mode, per_image: bool, ignore_index: int | None) -> Counts:
    """Count pixels per class: p is a softmax over the channels for `multiclass`, else a sigmoid."""
    if mode == "multiclass":
        p, y = _softmax_pixels(output, target, ignore_index)
        y = y.to(p.dtype)  # products of float and bool are slow
        both, predicted = (_Sums.apply if closed_form_applies(y) else _sums)(p, y)
    else:
        inputs = (_binary_inputs if mode == "binary" else _multilabel_inputs)(output, target, ignore_index)
        valid = None if inputs.valid is None else _flat(inputs.valid)
        y = _flat(inputs.target).to(inputs.logits.dtype)
        y = y if valid is None else y.where(valid, 0)
        sums = _SigmoidSums.apply if closed_form_applies(y) else _sigmoid_sums
        both, predicted = sums(_flat(inputs.logits), y, valid)
    counts = Counts(both, predicted, y.sum(2))
    return counts if per_image else Counts(*(count.sum(0) for count in counts))


def _sums(p: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Compute Σ p·y and Σ p over the pixels."""
    return (p * y).sum(2), p.sum(2)


class _Sums(torch.autograd.Function):
    """Compute `_sums`; the backward pass makes both gradients at once."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(y)
        return _sums(p, y)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (y,), (both, predicted) = ctx.saved_tensors, grads
        if torch.is_grad_enabled():  # to be differentiated again
            return y * both.unsqueeze(2) + predicted.unsqueeze(2), None
        return (y * both.unsqueeze(2)).add_(predicted.unsqueeze(2)), None


def _sigmoid_sums(logits: Tensor, y: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Compute the same of p = sigmoid(logits), 0 where not valid."""
    p = torch.sigmoid(logits)
    return _sums(p if valid is None else p.where(valid, 0), y)


class _SigmoidSums(torch.autograd.Function):
    """Compute `_sigmoid_sums`; the gradient is made in place, in two passes."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, y: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        p = torch.sigmoid(logits)
        p = p if valid is None else p.where(valid, 0)
        ctx.save_for_backward(p, y, logits, valid)
        return _sums(p, y)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        p, y, logits, valid = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again
            return differentiable_gradient(_sigmoid_sums, logits, (y, valid), grads), None, None
        both, predicted = grads
        grad = (y * both.unsqueeze(2)).add_(predicted.unsqueeze(2))
        # an invalid pixel has p = 0, for which the derivative of the sigmoid, p (1 − p), is 0
        return torch.ops.aten.sigmoid_backward.grad_input(grad, p, grad_input=grad), None, None


def _softmax_pixels(output: Tensor, target: Tensor, ignore_index: int | None) -> tuple[Tensor, Tensor]:
    """Return probabilities and one-hot or soft targets `(B, C, pixels)`, both 0 where the target is ignored."""
    require_class_shapes(output, target)
    p = _flat(torch.softmax(logits_as_float32(output), dim=1))
    if target.is_floating_point():
        require_values("target", target, low=0, high=1)
        return p, _flat(target)
    target = usable_labels(target)
    require_labels(target, p.shape[1], ignore_index)
    numbers = _flat(target.unsqueeze(1)).to(p.dtype)
    classes = torch.arange(p.shape[1], device=p.device, dtype=p.dtype)[:, None]
    if closed_form_applies():
        y = torch.eq(numbers, classes, out=torch.empty_like(p))  # comparing integers takes four times as long
    else:
        y = (numbers == classes).to(p.dtype)
    if ignore_index is None:
        return p, y
    valid = numbers != ignore_index
    return p.where(valid, 0), y.where(valid, 0)


def _binary_inputs(output: Tensor, target: Tensor, ignore_index: int | None) -> SigmoidInputs:
    if output.shape not in (target.shape, (*target.shape[:1], 1, *target.shape[1:])):
        raise ValueError(
            "output must be (B, ...) or (B, 1, ...) and target (B, ...) in mode binary, "
            f"got output {tuple(output.shape)} and target {tuple(target.shape)}."
        )
    pixels = (len(output), 1, math.prod(output.shape[1:]))
    return _multilabel_inputs(output.reshape(pixels), target.reshape(pixels), ignore_index)


def _multilabel_inputs(output: Tensor, target: Tensor, ignore_index: int | None) -> SigmoidInputs:
    if output.shape != target.shape or output.ndim < 2:
        raise ValueError(
            "output and target must have the same shape (B, C, ...) in mode multilabel, "
            f"got output {tuple(output.shape)} and target {tuple(target.shape)}."
        )
    return sigmoid_inputs(output, target, ignore_index)


def _flat(tensor: Tensor) -> Tensor:
    """Flatten `(B, C, ...)` to `(B, C, pixels)`, even if it is empty."""
    return tensor.reshape(*tensor.shape[:2], math.prod(tensor.shape[2:]))


def mean_over_classes(
    errors: Tensor, total: Tensor, actual: Tensor, weights: Tensor | None, absent: Absent, reduction: Reduction
) -> Tensor:
    """Divide errors by total per class, 0 where the total is 0, and average over the classes that count.

    Args:
        errors: Weighted count of wrong pixels.
        total: Count that the errors are a fraction of, smoothing included.
        actual: Number of target pixels of each class.
        weights: One number per class, ≥ 0.
        absent: `ignore` leaves out a class without a target pixel; `penalize` keeps it.
        reduction: `mean` and `sum` use the weights; `none` does not.

    Shape:
        `(C,)` or `(B, C)` each → `()`, or the same for `none`.

    Example:
        >>> one = torch.ones(2)
        >>> mean_over_classes(one, 2 * one, torch.tensor([3.0, 0.0]), None, "penalize", "mean")
        tensor(0.5000)
    """
    values = errors / torch.where(total > 0, total, 1)
    present = torch.ones_like(actual) if absent == "penalize" else (actual > 0).to(values.dtype)
    if reduction == "none":
        return values * present
    if weights is not None:
        present = present * along_classes("class_weights", weights, present.reshape(-1, present.shape[-1]))
    return reduce(values * present, reduction, present.sum())
