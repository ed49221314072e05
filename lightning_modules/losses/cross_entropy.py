"""Cross-entropy with class weights that a config can state, and an answer for batches without labels."""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from foundation.argument_checks import require_between, require_choice
from lightning_modules.losses.reduction import REDUCTIONS, Reduction, logits_as_float32, reduce
from lightning_modules.losses.tensor_checks import (
    add_weights,
    by_class,
    require_class_shapes,
    require_labels,
    require_values,
)


class Classes(NamedTuple):
    """Logits and targets, checked and brought into one form."""

    log_p: Tensor  # (B, C, ...)
    target: Tensor  # (B, ...) int64, or (B, C, ...) probabilities
    valid: Tensor | None  # (B, ...) bool; None for probabilities: all of them count
    weights: Tensor | None  # (C, 1, ...)
    ignore_index: int

    @property
    def soft(self) -> bool:
        """Whether the targets are probabilities."""
        return self.valid is None

    def pick(self, table: Tensor) -> Tensor:
        """The entry of a table `(C, ...)` for each target, 0 where it is ignored."""
        assert self.valid is not None
        return table.flatten()[self.target.where(self.valid, 0)] * self.valid

    def nll(self) -> Tensor:
        """−log p of each target, unweighted and unsmoothed, 0 where it is ignored: `(B, ...)`."""
        return F.nll_loss(self.log_p, self.target, ignore_index=self.ignore_index, reduction="none")

    def uniform(self) -> Tensor:
        """The cross-entropy against a target spread evenly over the classes: `(B, ...)`."""
        log_p = self.log_p if self.weights is None else self.log_p * self.weights
        flat = -log_p.mean(dim=1)
        return flat if self.valid is None else flat.where(self.valid, 0)

    def total(self) -> Tensor | int:
        """What the mean divides by: the targets' weights, or the number of targets if they are probabilities."""
        if self.valid is None:
            return self.log_p.numel() // max(self.log_p.shape[1], 1)
        return self.valid.sum() if self.weights is None else self.pick(self.weights).sum()


def prepare(output: Tensor, target: Tensor, class_weights: Tensor | None, ignore_index: int) -> Classes:
    """Check logits and targets, take the log-softmax in float32."""
    require_class_shapes(output, target)
    logits = logits_as_float32(output)
    weights = None if class_weights is None else by_class("class_weights", class_weights, output).to(logits.dtype)
    if target.is_floating_point():
        require_values("target", target, low=0, high=1)
        return Classes(F.log_softmax(logits, dim=1), target.to(logits.dtype), None, weights, ignore_index)
    require_labels(target, output.shape[1], ignore_index)
    return Classes(F.log_softmax(logits, dim=1), target.long(), target != ignore_index, weights, ignore_index)


def cross_entropy(
    output: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Cross-entropy −Σ_c w_c q_c log p_c with p = softmax(output), q the target, smoothed.

    With smoothing ε, q = (1 − ε)·target + ε/C. Equal to `torch.nn.functional.cross_entropy` in all of it; where that
    gives NaN, for no target at all, this gives 0.

    Args:
        output: Logits, not probabilities.
        target: Class numbers, or class probabilities in [0, 1] (MixUp).
        class_weights: w, one a class, ≥ 0. The mean over class numbers divides by the sum of the targets' weights.
        label_smoothing: ε in [0, 1]: 0 none, 1 all classes alike.
        ignore_index: The class number that means "not labelled"; of no effect on probabilities.
        reduction: `mean`, `sum` or `none`.

    Shape:
        `(B, C, ...)`, `(B, ...)` or `(B, C, ...)` → `()`, or `(B, ...)` for `none`.

    Raises:
        ValueError: Shapes or dtypes that do not go together, a number of weights that is not C, or (on the CPU) a
            class number out of range, a probability outside [0, 1].

    Example:
        >>> import torch
        >>> cross_entropy(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1269)
    """
    classes = prepare(output, target, class_weights, ignore_index)
    if classes.soft:
        q = classes.target if classes.weights is None else classes.target * classes.weights
        cost = -(q * classes.log_p).sum(dim=1)
    else:
        cost = classes.nll() if classes.weights is None else classes.nll() * classes.pick(classes.weights)
    if label_smoothing:
        cost = (1 - label_smoothing) * cost + label_smoothing * classes.uniform()
    return reduce(cost, reduction, classes.total())


class WeightedCrossEntropyLoss(nn.Module):
    """Cross-entropy whose class weights are a list in the config: see `cross_entropy`.

    Args:
        class_weights: One a class, ≥ 0, not all 0; None weighs all alike.
        label_smoothing: In [0, 1]: 0 none, 1 all classes alike.
        ignore_index: The class number that means "not labelled".
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: Weights that are negative, not finite or all 0; smoothing outside [0, 1]; an unknown reduction.

    Example:
        >>> import torch
        >>> WeightedCrossEntropyLoss([1.0, 3.0])(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(0.6931)
    """

    class_weights: Tensor | None

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        require_between("label_smoothing", label_smoothing, 0, 1)
        require_choice("reduction", reduction, REDUCTIONS)
        add_weights(self, "class_weights", class_weights)
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """`(B, C, ...)`, `(B, ...)` or `(B, C, ...)` → `()`."""
        return cross_entropy(
            output, target, self.class_weights, self.label_smoothing, self.ignore_index, self.reduction
        )
