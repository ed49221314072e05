"""Cross-entropy over classes that exclude one another, with class weights, smoothing and unlabelled targets."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from foundation.argument_checks import require_between
from lightning_modules.losses.reduction import (
    ReducedLoss,
    Reduction,
    labelled_samples,
    logits_as_float32,
    reduce,
    target_weights,
)
from lightning_modules.losses.tensor_checks import (
    along_classes,
    labelled,
    register_weights,
    require_class_shapes,
    require_labels,
    require_values,
    usable_labels,
)


class SoftmaxInputs(NamedTuple):
    """Checked log-probabilities and targets of a loss over a softmax."""

    log_p: Tensor  # (B, C, ...)
    target: Tensor  # (B, ...) int64, or (B, C, ...) probabilities
    valid: Tensor | None  # (B, ...) bool; None where no target can be ignored, as among probabilities
    weights: Tensor | None  # (C, 1, ...)
    ignore_index: int

    @property
    def soft(self) -> bool:
        """Whether the targets are probabilities."""
        return self.target.is_floating_point()

    @property
    def classes(self) -> Tensor:
        """Class numbers `(B, ...)`, 0 where the target is ignored."""
        return self.target if self.valid is None else self.target.where(self.valid, 0)

    def without_ignored(self, values: Tensor) -> Tensor:
        """Set values `(B, ...)` to 0 where the target is ignored."""
        return values if self.valid is None else values.where(self.valid, 0)

    def of_target(self, table: Tensor) -> Tensor:
        """Look up each target's entry in a table `(C, ...)`; 0 where the target is ignored."""
        return self.without_ignored(table.flatten()[self.classes])

    def nll(self) -> Tensor:
        """−log p of each target, without weights or smoothing, 0 where it is ignored: `(B, ...)`."""
        if self.log_p.ndim == 2 or self.log_p.is_cpu:
            return F.nll_loss(self.log_p, self.target, ignore_index=self.ignore_index, reduction="none")
        return nll_of_rows(self.log_p, self.target, self.ignore_index)

    def log_rest(self) -> Tensor:
        """log(1 − p), without the rounding that 1 − p has where p is near 1.

        Shape:
            `(B, ...)` for class numbers, of the target's class; `(B, C, ...)` for probabilities.
        """
        near = (self.log_p.argmax(dim=1) if self.soft else self.classes).unsqueeze(1)
        rest = self.log_p.scatter(1, near, -torch.inf).logsumexp(dim=1, keepdim=True)
        if not self.soft:
            return rest.squeeze(1)
        small = self.log_p.scatter(1, near, -1.0)  # at most ½: the largest of all is `near`
        return torch.log1p(-small.exp()).scatter(1, near, rest)

    def smoothed(self, cost: Tensor, label_smoothing: float) -> Tensor:
        """Mix the cost with the cross-entropy against a uniform target: both `(B, ...)`, or the cost `(B, C, ...)`."""
        if not label_smoothing:
            return cost
        log_p = self.log_p if self.weights is None else self.log_p * self.weights
        uniform = self.without_ignored(-log_p.mean(dim=1))
        if cost.ndim > uniform.ndim:
            uniform = uniform.unsqueeze(1)
        return (1 - label_smoothing) * cost + label_smoothing * uniform

    def divisor(self) -> Tensor | int:
        """Divisor of the mean: the sum of the targets' weights, or the number of targets if they are probabilities."""
        if self.weights is not None and not self.soft:
            return self.of_target(self.weights).sum()
        return self.log_p.numel() // max(self.log_p.shape[1], 1) if self.valid is None else self.valid.sum()


def nll_of_rows(log_p: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Return `F.nll_loss` of pixels, `(B, C, ...)` and `(B, ...)` → `(B, ...)`, as of one long batch.

    For pixels torch has other code, which on a GPU is not deterministic; on a CPU it is faster.

    Example:
        >>> import torch
        >>> nll_of_rows(torch.tensor([[[-1.0, -2.0], [-3.0, -4.0]]]), torch.tensor([[1, 0]]), -100)
        tensor([[3., 2.]])
    """
    rows = log_p.movedim(1, -1).flatten(0, -2)
    return F.nll_loss(rows, target.flatten(), ignore_index=ignore_index, reduction="none").view(target.shape)


def softmax_inputs(output: Tensor, target: Tensor, class_weights: Tensor | None, ignore_index: int) -> SoftmaxInputs:
    """Check logits and targets, and take the log-softmax in float32."""
    require_class_shapes(output, target)
    logits = logits_as_float32(output)
    weights = None if class_weights is None else along_classes("class_weights", class_weights, output).to(logits.dtype)
    if target.is_floating_point():
        require_values("target", target, low=0, high=1)
        return SoftmaxInputs(F.log_softmax(logits, dim=1), target.to(logits.dtype), None, weights, ignore_index)
    target = usable_labels(target)
    require_labels(target, output.shape[1], ignore_index)
    valid = labelled(target, ignore_index)
    return SoftmaxInputs(F.log_softmax(logits, dim=1), target.long(), valid, weights, ignore_index)


def cross_entropy(
    output: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """Compute the cross-entropy; see `WeightedCrossEntropyLoss` for the formula, arguments, shapes and errors.

    Example:
        >>> import torch
        >>> cross_entropy(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1269)
    """
    inputs = softmax_inputs(output, target, class_weights, ignore_index)
    if inputs.soft:
        q = inputs.target if inputs.weights is None else inputs.target * inputs.weights
        cost = -(q * inputs.log_p).sum(dim=1)
    else:
        cost = inputs.nll() if inputs.weights is None else inputs.nll() * inputs.of_target(inputs.weights)
    return reduce(inputs.smoothed(cost, label_smoothing), reduction, inputs.divisor())


class WeightedCrossEntropyLoss(ReducedLoss):
    r"""Cross-entropy −Σ_c w_c q_c log p_c with p = softmax(output) and q the target after label smoothing.

    With smoothing ε, q = (1 − ε)·target + ε/C. The value is that of `torch.nn.functional.cross_entropy`, except that a
    batch without a labelled target gives 0 instead of NaN. The function is `cross_entropy`.

    Args:
        class_weights: w, one number per class, ≥ 0 and not all 0; None weights all classes equally. The mean over
            class numbers divides by the sum of the targets' weights.
        label_smoothing: ε in [0, 1]: 0 is no smoothing, 1 makes all classes equally likely.
        ignore_index: Class number that means "not labelled"; it has no effect on class probabilities.
        reduction: `mean`, `sum` or `none`.

    Shape:
        - output: logits `(B, C, ...)`, not probabilities.
        - target: class numbers `(B, ...)`, or class probabilities `(B, C, ...)` in [0, 1] (MixUp).
        - loss: `()`, or `(B, ...)` for `none`.

    Raises:
        ValueError: Weights that are negative, not finite or all 0; smoothing outside [0, 1]; an unknown reduction. When
            called: shapes or dtypes that do not fit together, a number of weights other than C, or (on the CPU) a class
            number out of range or a probability outside [0, 1].

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
        super().__init__(reduction)
        require_between("label_smoothing", label_smoothing, 0, 1)
        register_weights(self, "class_weights", class_weights)
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return cross_entropy(
            output, target, self.class_weights, self.label_smoothing, self.ignore_index, self.reduction
        )

    def mean_weight(self, output: Tensor, target: Tensor) -> Tensor | float:
        """Return the sum of the weights of the labelled targets, per target of a sample; see `ReducedLoss`."""
        if target.is_floating_point():
            return super().mean_weight(output, target)
        return labelled_samples(target, self.ignore_index, self.class_weights)

    def target_weights(self, target: Tensor) -> Tensor | None:
        """Return the weight of each target's class, 0 where it is not labelled; None if all are 1."""
        if target.is_floating_point():
            return None
        return target_weights(target, self.ignore_index, self.class_weights)
