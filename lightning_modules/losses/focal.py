"""Focal loss over classes that exclude one another: easy samples count less."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foundation.argument_checks import require_between, require_choice
from lightning_modules.losses.cross_entropy import Classes, prepare
from lightning_modules.losses.reduction import REDUCTIONS, Reduction, reduce
from lightning_modules.losses.tensor_checks import add_weights, by_class

_TINY = torch.finfo(torch.float32).tiny


def softmax_focal_loss(
    output: Tensor,
    target: Tensor,
    gamma: float = 2.0,
    alpha: Tensor | None = None,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Focal loss α_t (1 − p_t)^γ · CE with p = softmax(output), p_t that of the target's class t.

    CE may be weighted and smoothed; p_t is the plain probability. For class probabilities q as targets (MixUp) it is
    the mean over t drawn from q. γ = 0 without α is `cross_entropy`. The gradient is finite at p_t = 1 for every γ.

    Args:
        output: Logits, not probabilities.
        target: Class numbers, or class probabilities in [0, 1].
        gamma: γ ≥ 0: 0 is cross-entropy; with 2, a sample of p_t = 0.9 counts a hundredth.
        alpha: One a class, or one number for all, which only rescales. It is not divided out again.
        class_weights: Weights inside CE; the mean over class numbers divides by the sum of the targets' weights.
        label_smoothing: ε in [0, 1], inside CE.
        ignore_index: The class number that means "not labelled"; of no effect on probabilities.
        reduction: `mean`, `sum` or `none`.

    Shape:
        `(B, C, ...)`, `(B, ...)` or `(B, C, ...)` → `()`, or `(B, ...)` for `none`.

    Raises:
        ValueError: As `cross_entropy`; or a list of alphas that is not C long.

    Example:
        >>> softmax_focal_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.0018)

    Reference:
        Lin, Goyal, Girshick, He, Dollár: Focal loss for dense object detection, 2017 (binary; here over a softmax).
    """
    classes = prepare(output, target, class_weights, ignore_index)
    alpha = None if alpha is None else by_class("alpha", alpha, output).to(classes.log_p.dtype)
    if not classes.soft:
        return reduce(_hard(classes, gamma, alpha, label_smoothing), reduction, classes.total())
    nll = -classes.log_p
    cost = nll if classes.weights is None else nll * classes.weights
    if label_smoothing:
        cost = (1 - label_smoothing) * cost + label_smoothing * classes.uniform().unsqueeze(1)
    share = classes.target if alpha is None else classes.target * alpha
    return reduce((share * _doubt(nll, gamma) * cost).sum(dim=1), reduction, classes.total())


def _hard(classes: Classes, gamma: float, alpha: Tensor | None, label_smoothing: float) -> Tensor:
    """Values for class numbers: only the target's probability is picked, so the factors are `(B, ...)`."""
    nll = classes.nll()
    cost = nll if classes.weights is None else nll * classes.pick(classes.weights)
    if label_smoothing:
        cost = (1 - label_smoothing) * cost + label_smoothing * classes.uniform()
    if gamma:
        cost = cost * _doubt(nll, gamma)
    return cost if alpha is None else cost * classes.pick(alpha)


def _doubt(nll: Tensor, gamma: float) -> Tensor:
    """(1 − p)^γ. At p = 1 the power's slope is infinite for γ < 1; the clamp gives it slope 0, as the product has."""
    return (-torch.expm1(-nll)).clamp_min(_TINY).pow(gamma)


class SoftmaxFocalLoss(nn.Module):
    """Multi-class focal loss as a module: see `softmax_focal_loss`.

    Args:
        gamma: γ ≥ 0: 0 is cross-entropy; the larger, the less an easy sample counts.
        alpha: One number for all, or a list with one a class, ≥ 0.
        class_weights: One a class, ≥ 0, inside the cross-entropy; the mean divides by their sum over the targets.
        label_smoothing: In [0, 1].
        ignore_index: The class number that means "not labelled".
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: A negative gamma; weights or alphas that are negative, not finite or all 0; smoothing outside
            [0, 1]; an unknown reduction.

    Example:
        >>> SoftmaxFocalLoss(gamma=2.0, alpha=[1.0, 4.0])(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(0.4332)
    """

    alpha: Tensor | None
    class_weights: Tensor | None

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Sequence[float] | None = None,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        require_between("gamma", gamma, 0)
        require_between("label_smoothing", label_smoothing, 0, 1)
        require_choice("reduction", reduction, REDUCTIONS)
        add_weights(self, "alpha", alpha)
        add_weights(self, "class_weights", class_weights)
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """`(B, C, ...)`, `(B, ...)` or `(B, C, ...)` → `()`."""
        return softmax_focal_loss(
            output,
            target,
            self.gamma,
            self.alpha,
            self.class_weights,
            self.label_smoothing,
            self.ignore_index,
            self.reduction,
        )
