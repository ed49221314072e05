"""Dice, Jaccard and Tversky loss of segmentation: one minus the soft overlap of prediction and target."""

from collections.abc import Sequence

from torch import Tensor

from foundation.argument_checks import require_between, require_choice
from lightning_modules.losses.overlap_counts import ABSENT, MODES, Absent, Mode, mean_over_classes, soft_counts
from lightning_modules.losses.reduction import ReducedLoss, Reduction
from lightning_modules.losses.tensor_checks import register_weights


def tversky_loss(
    output: Tensor,
    target: Tensor,
    alpha: float = 0.5,
    beta: float = 0.5,
    mode: Mode = "multiclass",
    smooth: float = 1.0,
    per_image: bool = False,
    absent: Absent = "penalize",
    class_weights: Tensor | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Compute the Tversky loss; see `TverskyLoss` for the formula, arguments, shapes and errors.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[1, 0], [1, 0]]])
        >>> tversky_loss(10.0 * (2 * mask - 1), mask, mode="binary", alpha=0.3, beta=0.7)
        tensor(3.0279e-05)
    """
    counts = soft_counts(output, target, mode, per_image, ignore_index)
    errors = alpha * (counts.predicted - counts.both) + beta * (counts.actual - counts.both)
    return mean_over_classes(errors, counts.both + errors + smooth, counts.actual, class_weights, absent, reduction)


class TverskyLoss(ReducedLoss):
    r"""Tversky loss 1 − (Σpy + s) / (Σpy + α Σp(1 − y) + β Σ(1 − p)y + s) of each class, averaged over the classes.

    p is the softmax (multiclass) or sigmoid of the output, y the target, s the `smooth`. α = β = ½ is Dice with twice
    the smoothing, α = β = 1 is Jaccard. The function is `tversky_loss`.

    Args:
        alpha: Cost of false positives, ≥ 0.
        beta: Cost of false negatives, ≥ 0: above alpha for recall.
        mode: `multiclass`: each pixel has one class; `multilabel`: any number of them; `binary`: there is one class.
        smooth: s ≥ 0, in pixels. 0 is the plain ratio; large values reduce the effect of small objects. It must be
            above 0 if absent classes are penalized.
        per_image: Compute the overlap of each image separately, instead of over the whole batch.
        absent: `penalize` keeps a class without a target pixel: predicting it costs 1 − s / (α Σp + s), which
            has a gradient. `ignore` leaves the class out of the mean.
        class_weights: One number per class, ≥ 0; 0 leaves a class out, such as the background.
        ignore_index: Target that means "not labelled".
        reduction: `mean` over classes (and images), `sum`, or `none`, without weights.

    Shape:
        - multiclass: logits `(B, C, ...)`, class numbers `(B, ...)` or probabilities `(B, C, ...)`.
        - multilabel: logits and targets `(B, C, ...)`, targets 0, 1 or between.
        - binary: logits `(B, ...)` or `(B, 1, ...)`, targets `(B, ...)`, 0, 1 or between.
        - loss: `()`; for `none` `(C,)`, or `(B, C)` per image.

    Raises:
        ValueError: A negative alpha, beta or smooth; both alpha and beta 0; smooth 0 with absent classes penalized;
            weights that are negative, not finite or all 0; an unknown mode, absent or reduction. When called: shapes
            that do not fit together, a number of weights other than C, or (on the CPU) a target out of range.

    Example:
        >>> import torch
        >>> TverskyLoss(alpha=1.0, beta=0.0)(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]]))
        tensor(0.3333)

    Reference:
        Salehi, Erdogmus, Gholipour: Tversky loss function for image segmentation using 3D fully convolutional deep
        networks, 2017.
    """

    class_weights: Tensor | None
    per_sample = False

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        mode: Mode = "multiclass",
        smooth: float = 1.0,
        per_image: bool = False,
        absent: Absent = "penalize",
        class_weights: Sequence[float] | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        for name, number in {"alpha": alpha, "beta": beta, "smooth": smooth}.items():
            require_between(name, number, 0)
        if alpha == beta == 0:
            raise ValueError("alpha and beta must not both be 0: no error would cost anything.")
        require_choice("mode", mode, MODES)
        require_choice("absent", absent, ABSENT)
        if absent == "penalize" and smooth == 0:
            raise ValueError(
                "smooth must be above 0 where absent classes are penalized, got 0: their loss would be 1 whatever the "
                "prediction, without a gradient. Set e.g. smooth=1, or absent='ignore'."
            )
        register_weights(self, "class_weights", class_weights)
        self.alpha, self.beta, self.smooth = alpha, beta, smooth
        self.mode: Mode = mode
        self.absent: Absent = absent
        self.per_image, self.ignore_index = per_image, ignore_index

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch."""
        settings = self.alpha, self.beta, self.mode, self.smooth, self.per_image, self.absent
        return tversky_loss(output, target, *settings, self.class_weights, self.ignore_index, self.reduction)


class _EqualCostLoss(TverskyLoss):
    """Base class of Dice and Jaccard: the Tversky loss with the same cost for false positives and false negatives.

    Args:
        mode: `multiclass`: each pixel has one class; `multilabel`: any number of them; `binary`: there is one class.
        smooth: s ≥ 0, in pixels; above 0 if absent classes are penalized.
        per_image: Compute the overlap of each image separately, instead of over the whole batch.
        absent: `penalize` or `ignore` classes that have no pixel in the target.
        class_weights: One number per class, ≥ 0; 0 leaves a class out, such as the background.
        ignore_index: Target that means "not labelled".
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: As `TverskyLoss`.
    """

    cost: float

    def __init__(
        self,
        mode: Mode = "multiclass",
        smooth: float = 1.0,
        per_image: bool = False,
        absent: Absent = "penalize",
        class_weights: Sequence[float] | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(self.cost, self.cost, mode, smooth, per_image, absent, class_weights, ignore_index, reduction)
        self.smooth = self.cost * smooth  # Dice has 2 Σpy + s where Tversky has Σpy + s


def dice_loss(
    output: Tensor,
    target: Tensor,
    mode: Mode = "multiclass",
    smooth: float = 1.0,
    per_image: bool = False,
    absent: Absent = "penalize",
    class_weights: Tensor | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Compute the Dice loss; see `DiceLoss` for the formula and `TverskyLoss` for arguments, shapes and errors.

    Example:
        >>> import torch
        >>> dice_loss(torch.zeros(1, 4), torch.tensor([[1, 1, 0, 0]]), mode="binary")
        tensor(0.4000)
    """
    return tversky_loss(
        output, target, 0.5, 0.5, mode, smooth / 2, per_image, absent, class_weights, ignore_index, reduction
    )


class DiceLoss(_EqualCostLoss):
    r"""Dice loss 1 − (2 Σpy + s) / (Σp + Σy + s) of each class, averaged over the classes.

    It is the Tversky loss with both costs ½ and half the smoothing; symbols, shapes and errors are those of
    `TverskyLoss`. The function is `dice_loss`.

    Example:
        >>> import torch
        >>> DiceLoss("binary", absent="ignore")(torch.zeros(1, 4), torch.tensor([[0, 0, 0, 0]]))
        tensor(0.)

    Reference:
        Milletari, Navab, Ahmadi: V-Net: fully convolutional neural networks for volumetric medical image
        segmentation, 2016 (there with squares in the denominator, here without).
    """

    cost = 0.5


def jaccard_loss(
    output: Tensor,
    target: Tensor,
    mode: Mode = "multiclass",
    smooth: float = 1.0,
    per_image: bool = False,
    absent: Absent = "penalize",
    class_weights: Tensor | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Compute the Jaccard loss; see `JaccardLoss` for the formula and `TverskyLoss` for arguments, shapes and errors.

    Example:
        >>> import torch
        >>> jaccard_loss(torch.zeros(1, 4), torch.tensor([[1, 1, 0, 0]]), mode="binary")
        tensor(0.5000)
    """
    return tversky_loss(
        output, target, 1.0, 1.0, mode, smooth, per_image, absent, class_weights, ignore_index, reduction
    )


class JaccardLoss(_EqualCostLoss):
    r"""Jaccard loss 1 − (Σpy + s) / (Σp + Σy − Σpy + s) of each class, averaged over the classes.

    It is one minus the soft intersection over union: the Tversky loss with both costs 1, whose symbols, shapes and
    errors it shares. The function is `jaccard_loss`.

    Example:
        >>> import torch
        >>> JaccardLoss("binary", absent="ignore")(torch.zeros(1, 4), torch.tensor([[0, 0, 0, 0]]))
        tensor(0.)

    Reference:
        Rahman, Wang: Optimizing intersection-over-union in deep neural networks for image segmentation, 2016.
    """

    cost = 1.0
