"""Targets of the sigmoid losses, checked and brought into the shape of the logits."""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.losses.reduction import logits_as_float32
from lightning_modules.losses.tensor_checks import (
    along_classes,
    labelled,
    require_floating,
    require_labels,
    require_same_shape,
    require_values,
    usable_labels,
)


class SigmoidInputs(NamedTuple):
    """Logits and targets of one shape, and which of them count."""

    logits: Tensor  # (B, C, ...), or (B, ...) where there is no channel
    target: Tensor  # same shape: bool for hard targets, else floating point in [0, 1]
    valid: Tensor | None  # same shape, bool; None: all count
    classes: int  # 1 where a channel of size 1 was dropped

    def along_classes(self, name: str, weights: Tensor) -> Tensor:
        """Reshape weights, one per class or one for all, so that they multiply the logits."""
        if self.classes == 1 and weights.numel() == 1:
            return weights.to(self.logits.device).reshape(())
        if self.classes == 1:
            raise ValueError(f"{name} must have one number: got {weights.numel()} numbers for one class.")
        return along_classes(name, weights, self.logits)

    def divisor(self) -> Tensor | int:
        """Divisor of the mean: the number of elements that are not ignored."""
        return self.logits.numel() if self.valid is None else self.valid.sum()

    def without_ignored(self, values: Tensor) -> Tensor:
        """Set values to 0 where the target is ignored."""
        return values if self.valid is None else values.where(self.valid, 0)


def sigmoid_inputs(output: Tensor, target: Tensor, ignore_index: int | None) -> SigmoidInputs:
    """Check logits and targets of a sigmoid loss and give them the same shape.

    | output        | target                          | meaning                                           |
    |---------------|---------------------------------|---------------------------------------------------|
    | `(B, ...)`    | `(B, ...)`, 0, 1 or between     | binary, or multi-label where there are channels   |
    | `(B, 1, ...)` | `(B, ...)`, 0, 1 or between     | binary; the channel of size 1 is dropped          |
    | `(B, C, ...)` | `(B, ...)`, integer, 0 to C − 1 | one class against the rest: becomes one-hot       |
    """
    require_floating("output", output)
    target = usable_labels(target)
    classes = output.shape[1] if output.ndim > 1 else 1
    if output.ndim == target.ndim + 1 and output.shape[1] == 1:
        output = output.squeeze(1)
    logits = logits_as_float32(output)
    if output.ndim == target.ndim + 1 and not target.is_floating_point():
        return _one_hot(logits, target, ignore_index)
    require_same_shape(output, target)
    valid = labelled(target, ignore_index)
    if target.is_floating_point():
        known = target if valid is None else target.where(valid, 0)
        require_values("target", known, low=0, high=1)
        return SigmoidInputs(logits, known.to(logits.dtype), valid, classes)
    require_labels(target, 2, ignore_index)
    return SigmoidInputs(logits, target == 1, valid, classes)


def _one_hot(logits: Tensor, target: Tensor, ignore_index: int | None) -> SigmoidInputs:
    expected = logits.shape[:1] + logits.shape[2:]
    if target.shape != expected:
        raise ValueError(
            f"target must be class numbers of shape {tuple(expected)} for output {tuple(logits.shape)}, "
            f"got shape {tuple(target.shape)}."
        )
    require_labels(target, logits.shape[1], ignore_index)
    classes = torch.arange(logits.shape[1], device=target.device).view(-1, *[1] * (logits.ndim - 2))
    valid = labelled(target, ignore_index)
    valid = None if valid is None else valid.unsqueeze(1).expand_as(logits)
    one_hot = target.unsqueeze(1) == classes
    return SigmoidInputs(logits, one_hot if valid is None else one_hot & valid, valid, logits.shape[1])
