"""Targets of sigmoid losses, brought into the shape of the logits."""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.losses.reduction import logits_as_float32
from lightning_modules.losses.tensor_checks import (
    require_floating,
    require_labels,
    require_same_shape,
    require_values,
)


class Labels(NamedTuple):
    """Logits and targets of one shape, and what counts."""

    logits: Tensor  # (B, C, ...), or (B, ...) for one binary question a sample
    target: Tensor  # same shape: bool where targets are hard, else floating point in [0, 1]
    valid: Tensor | None  # same shape, bool; None: all count

    def total(self) -> Tensor | int:
        """How many elements the mean divides by."""
        return self.logits.numel() if self.valid is None else self.valid.sum()

    def keep(self, values: Tensor) -> Tensor:
        """The values, 0 where the target is ignored."""
        return values if self.valid is None else values.where(self.valid, 0)


def prepare(output: Tensor, target: Tensor, ignore_index: int | None) -> Labels:
    """Check logits and targets of a sigmoid loss and make their shapes one.

    | output        | target                        | question                                             |
    |---------------|-------------------------------|------------------------------------------------------|
    | `(B, ...)`    | `(B, ...)`, 0, 1 or between   | each element is a yes or no; channels are labels     |
    | `(B, 1, ...)` | `(B, ...)`, 0, 1 or between   | the same, the channel of size 1 dropped              |
    | `(B, C, ...)` | `(B, ...)`, whole, 0 to C − 1 | one class against the rest: the class number one-hot |
    """
    require_floating("output", output)
    if output.ndim == target.ndim + 1 and output.shape[1] == 1:
        output = output.squeeze(1)
    logits = logits_as_float32(output)
    if output.ndim == target.ndim + 1 and not target.is_floating_point():
        return _one_hot(logits, target, ignore_index)
    require_same_shape(output, target)
    valid = None if ignore_index is None else target != ignore_index
    if target.is_floating_point():
        known = target if valid is None else target.where(valid, 0)
        require_values("target", known, low=0, high=1)
        return Labels(logits, known.to(logits.dtype), valid)
    require_labels(target, 2, ignore_index)
    return Labels(logits, target == 1, valid)


def _one_hot(logits: Tensor, target: Tensor, ignore_index: int | None) -> Labels:
    expected = logits.shape[:1] + logits.shape[2:]
    if target.shape != expected:
        raise ValueError(
            f"target must be class numbers of shape {tuple(expected)} for output {tuple(logits.shape)}, "
            f"got shape {tuple(target.shape)}."
        )
    require_labels(target, logits.shape[1], ignore_index)
    numbers = torch.arange(logits.shape[1], device=target.device).view(-1, *[1] * (logits.ndim - 2))
    valid = None if ignore_index is None else (target != ignore_index).unsqueeze(1).expand_as(logits)
    hot = target.unsqueeze(1) == numbers
    return Labels(logits, hot if valid is None else hot & valid, valid)
