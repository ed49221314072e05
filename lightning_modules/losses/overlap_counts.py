"""What Dice, Jaccard and Tversky share: soft counts of pixels by class, and the mean over classes."""

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lightning_modules.losses.reduction import Reduction, logits_as_float32, reduce
from lightning_modules.losses.sigmoid_targets import Labels, prepare
from lightning_modules.losses.tensor_checks import by_class, require_class_shapes, require_labels, require_values

Mode = Literal["binary", "multiclass", "multilabel"]
Absent = Literal["ignore", "penalize"]
MODES: tuple[Mode, ...] = ("binary", "multiclass", "multilabel")
ABSENT: tuple[Absent, ...] = ("ignore", "penalize")


class Counts(NamedTuple):
    """Soft counts `(C,)` over the batch, or `(B, C)` by image; p the probabilities, y the target."""

    both: Tensor  # Σ p·y
    predicted: Tensor  # Σ p
    actual: Tensor  # Σ y


def soft_counts(output: Tensor, target: Tensor, mode: Mode, per_image: bool, ignore_index: int | None) -> Counts:
    """Count pixels by class: p is a softmax over the channels for `multiclass`, else a sigmoid."""
    if mode == "multiclass":
        p, y = _exclusive(output, target, ignore_index)
        y = y.to(p.dtype)  # products of float and bool are slow
        both, predicted = _Sums.apply(p, y)
    else:
        labels = (_binary if mode == "binary" else _independent)(output, target, ignore_index)
        valid = None if labels.valid is None else _flat(labels.valid)
        y = _flat(labels.target).to(labels.logits.dtype)
        y = y if valid is None else y.where(valid, 0)
        both, predicted = _SigmoidSums.apply(_flat(labels.logits), y, valid)
    counts = Counts(both, predicted, y.sum(2))
    return counts if per_image else Counts(*(count.sum(0) for count in counts))


class _Sums(torch.autograd.Function):
    """Σ p·y and Σ p over the pixels; both gradients at once."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(y)
        return (p * y).sum(2), p.sum(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, both: Tensor, predicted: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return (y * both.unsqueeze(2)).add_(predicted.unsqueeze(2)), None


class _SigmoidSums(torch.autograd.Function):
    """The same of p = sigmoid(logits), 0 where it is not valid; the gradient is made in place, in two passes."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, y: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        p = torch.sigmoid(logits)
        p = p if valid is None else p.where(valid, 0)
        ctx.save_for_backward(p, y)
        return (p * y).sum(2), p.sum(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, both: Tensor, predicted: Tensor) -> tuple[Tensor, None, None]:
        p, y = ctx.saved_tensors
        grad = (y * both.unsqueeze(2)).add_(predicted.unsqueeze(2))
        return torch.ops.aten.sigmoid_backward.grad_input(grad, p, grad_input=grad), None, None  # p = 0 stops it


def _exclusive(output: Tensor, target: Tensor, ignore_index: int | None) -> tuple[Tensor, Tensor]:
    require_class_shapes(output, target)
    p = _flat(torch.softmax(logits_as_float32(output), dim=1))
    if target.is_floating_point():
        require_values("target", target, low=0, high=1)
        return p, _flat(target)
    require_labels(target, p.shape[1], ignore_index)
    numbers = _flat(target.unsqueeze(1)).to(p.dtype)
    classes = torch.arange(p.shape[1], device=p.device, dtype=p.dtype)[:, None]
    y = torch.eq(numbers, classes, out=torch.empty_like(p))  # in floating point: whole numbers take four times as long
    if ignore_index is None:
        return p, y
    valid = numbers != ignore_index
    return p.where(valid, 0), y.where(valid, 0)


def _binary(output: Tensor, target: Tensor, ignore_index: int | None) -> Labels:
    if output.shape not in (target.shape, (*target.shape[:1], 1, *target.shape[1:])):
        raise ValueError(
            "output must be (B, ...) or (B, 1, ...) and target (B, ...) in mode binary, "
            f"got output {tuple(output.shape)} and target {tuple(target.shape)}."
        )
    pixels = (len(output), 1, math.prod(output.shape[1:]))
    return _independent(output.reshape(pixels), target.reshape(pixels), ignore_index)


def _independent(output: Tensor, target: Tensor, ignore_index: int | None) -> Labels:
    if output.shape != target.shape or output.ndim < 2:
        raise ValueError(
            "output and target must have the same shape (B, C, ...) in mode multilabel, "
            f"got output {tuple(output.shape)} and target {tuple(target.shape)}."
        )
    return prepare(output, target, ignore_index)


def _flat(tensor: Tensor) -> Tensor:
    """`(B, C, ...)` → `(B, C, pixels)`, also when it is empty."""
    return tensor.reshape(*tensor.shape[:2], math.prod(tensor.shape[2:]))


def mean_share(
    missed: Tensor, whole: Tensor, actual: Tensor, weights: Tensor | None, absent: Absent, reduction: Reduction
) -> Tensor:
    """Missed / whole by class, 0 where the whole is empty, and its mean over the classes that count.

    Args:
        missed: What is wrong, a weighted count of pixels.
        whole: What it is a share of, smoothing included.
        actual: How many pixels each class has.
        weights: One a class, ≥ 0.
        absent: `ignore` leaves out a class without a pixel; `penalize` keeps it: then predicting it costs.
        reduction: `mean` and `sum` weigh the classes; `none` does not.

    Shape:
        `(C,)` or `(B, C)` each → `()`, or the same for `none`.

    Example:
        >>> one = torch.ones(2)
        >>> mean_share(one, 2 * one, torch.tensor([3.0, 0.0]), None, "penalize", "mean")
        tensor(0.5000)
    """
    values = missed / torch.where(whole > 0, whole, 1)
    present = torch.ones_like(actual) if absent == "penalize" else (actual > 0).to(values.dtype)
    if reduction == "none":
        return values * present
    if weights is not None:
        present = present * by_class("class_weights", weights, present.reshape(-1, present.shape[-1]))
    return reduce(values * present, reduction, present.sum())
