"""Focal loss over classes that exclude one another: easy samples count less."""

from collections.abc import Sequence

import torch
from torch import Tensor

from foundation.argument_checks import require_between
from lightning_modules.losses.cross_entropy import SoftmaxInputs, WeightedCrossEntropyLoss, softmax_inputs
from lightning_modules.losses.reduction import Reduction, reduce
from lightning_modules.losses.tensor_checks import along_classes, register_weights

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
    """Compute the multi-class focal loss; see `SoftmaxFocalLoss` for the formula, arguments, shapes and errors.

    Example:
        >>> softmax_focal_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.0018)
    """
    inputs = softmax_inputs(output, target, class_weights, ignore_index)
    alpha = None if alpha is None else along_classes("alpha", alpha, output).to(inputs.log_p.dtype)
    if not inputs.soft:
        return reduce(_of_class_numbers(inputs, gamma, alpha, label_smoothing), reduction, inputs.divisor())
    nll = -inputs.log_p
    cost = inputs.smoothed(nll if inputs.weights is None else nll * inputs.weights, label_smoothing)
    share = inputs.target if alpha is None else inputs.target * alpha
    factor = _modulating_factor(inputs, nll, gamma)
    return reduce((share * factor * cost).sum(dim=1), reduction, inputs.divisor())


def _of_class_numbers(inputs: SoftmaxInputs, gamma: float, alpha: Tensor | None, label_smoothing: float) -> Tensor:
    """Only the target's probability is looked up, so the factors are `(B, ...)` and not `(B, C, ...)`."""
    nll = inputs.nll()
    cost = nll if inputs.weights is None else nll * inputs.of_target(inputs.weights)
    cost = inputs.smoothed(cost, label_smoothing)
    if gamma:
        cost = cost * _modulating_factor(inputs, nll, gamma)
    return cost if alpha is None else cost * inputs.of_target(alpha)


def _modulating_factor(inputs: SoftmaxInputs, nll: Tensor, gamma: float) -> Tensor:
    """(1 − p)^γ. For γ < 1 the rounding of 1 − p near p = 1 would be enlarged, and its slope there is infinite."""
    if 0 < gamma < 1 and inputs.log_p.shape[1] > 1:
        return (gamma * inputs.log_rest()).exp()
    return (-torch.expm1(-nll)).clamp_min(_TINY).pow(gamma)


class SoftmaxFocalLoss(WeightedCrossEntropyLoss):
    r"""Focal loss α_t (1 − p_t)^γ · CE with p = softmax(output) and p_t the probability of the target's class t.

    CE is the cross-entropy, weighted and smoothed if asked for; p_t is neither. For class probabilities q as targets
    (MixUp), the loss is the mean over classes t drawn from q. γ = 0 without α is `cross_entropy`. The gradient is
    finite at p_t = 1 for every γ. The function is `softmax_focal_loss`.

    Args:
        gamma: γ ≥ 0: 0 is cross-entropy; with 2, a sample of p_t = 0.9 counts a hundredth.
        alpha: α ≥ 0, one number per class, or one for all classes, which only rescales the loss. The mean does not
            divide by it.
        class_weights: Weights inside CE, one number per class, ≥ 0; the mean over class numbers divides by the sum of
            the targets' weights.
        label_smoothing: ε in [0, 1], inside CE.
        ignore_index: Class number that means "not labelled"; it has no effect on class probabilities.
        reduction: `mean`, `sum` or `none`.

    Shape:
        - output: logits `(B, C, ...)`, not probabilities.
        - target: class numbers `(B, ...)`, or class probabilities `(B, C, ...)` in [0, 1].
        - loss: `()`, or `(B, ...)` for `none`.

    Raises:
        ValueError: As `WeightedCrossEntropyLoss`; a negative gamma; a list of alphas that is not C long.

    Example:
        >>> SoftmaxFocalLoss(gamma=2.0, alpha=[1.0, 4.0])(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(0.4332)

    Reference:
        Lin, Goyal, Girshick, He, Dollár: Focal loss for dense object detection, 2017 (binary; here over a softmax).
    """

    alpha: Tensor | None

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Sequence[float] | None = None,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(class_weights, label_smoothing, ignore_index, reduction)
        require_between("gamma", gamma, 0)
        register_weights(self, "alpha", alpha)
        self.gamma = gamma

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch."""
        settings = self.class_weights, self.label_smoothing, self.ignore_index, self.reduction
        return softmax_focal_loss(output, target, self.gamma, self.alpha, *settings)
