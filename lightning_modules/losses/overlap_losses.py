"""Tversky loss: overlap of prediction and target, with a price for each kind of mistake."""

from collections.abc import Sequence

from torch import Tensor, nn

from foundation.argument_checks import require_between, require_choice
from lightning_modules.losses.overlap_counts import ABSENT, MODES, Absent, Mode, mean_share, soft_counts
from lightning_modules.losses.reduction import REDUCTIONS, Reduction
from lightning_modules.losses.tensor_checks import add_weights


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
    r"""Tversky loss 1 − (Σpy + s) / (Σpy + α Σp(1 − y) + β Σ(1 − p)y + s), by class, then the mean over classes.

    p is the softmax (multiclass) or sigmoid of the output, y the target, s the `smooth`. α = β = ½ is Dice with twice
    the smoothing, α = β = 1 is Jaccard.

    Args:
        output: Logits, not probabilities.
        target: Class numbers or probabilities (multiclass); 0 and 1 or anything between (binary, multilabel).
        alpha: Price of false positives, ≥ 0.
        beta: Price of false negatives, ≥ 0: above alpha for recall.
        mode: `multiclass`: each pixel has one class; `multilabel`: any number of them; `binary`: one yes or no.
        smooth: s ≥ 0, in pixels. 0 is the plain ratio; a large one flattens small objects.
        per_image: Overlap of each image by itself instead of the batch as one image.
        absent: `penalize` keeps a class that has no pixel, so that predicting it costs (s / (Σp + s) of it is
            forgiven, and that is its gradient: it needs s > 0); `ignore` leaves it out.
        class_weights: One a class, ≥ 0; 0 leaves a class out, such as the background.
        ignore_index: The target that means "not labelled".
        reduction: `mean` over classes (and images), `sum`, or `none`, unweighted.

    Shape:
        multiclass: `(B, C, ...)`, `(B, ...)` or `(B, C, ...)` → `()`; multilabel: `(B, C, ...)` twice; binary:
        `(B, ...)` or `(B, 1, ...)`. For `none` `(C,)`, or `(B, C)` per image.

    Raises:
        ValueError: Shapes that do not go together; a number of weights that is not C; (on the CPU) a target out of
            range.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[1, 0], [1, 0]]])
        >>> tversky_loss(10.0 * (2 * mask - 1), mask, mode="binary", alpha=0.3, beta=0.7)
        tensor(3.0279e-05)

    Reference:
        Salehi, Erdogmus, Gholipour: Tversky loss function for image segmentation using 3D fully convolutional deep
        networks, 2017.
    """
    counts = soft_counts(output, target, mode, per_image, ignore_index)
    missed = alpha * (counts.predicted - counts.both) + beta * (counts.actual - counts.both)
    return mean_share(missed, counts.both + missed + smooth, counts.actual, class_weights, absent, reduction)


class TverskyLoss(nn.Module):
    """Tversky loss as a module: see `tversky_loss`.

    Args:
        alpha: Price of false positives, ≥ 0.
        beta: Price of false negatives, ≥ 0.
        mode: `multiclass`, `multilabel` or `binary`.
        smooth: In pixels, ≥ 0; above 0 where absent classes are penalized.
        per_image: Each image by itself, or the batch as one.
        absent: `penalize` or `ignore` classes without a pixel.
        class_weights: One a class, ≥ 0.
        ignore_index: The target that means "not labelled".
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: A negative alpha, beta or smooth; both alpha and beta 0; smooth 0 with absent classes penalized;
            weights that are negative, not finite or all 0; an unknown word.

    Example:
        >>> import torch
        >>> TverskyLoss(alpha=1.0, beta=0.0)(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]]))
        tensor(0.3333)
    """

    class_weights: Tensor | None

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
        super().__init__()
        for name, number in {"alpha": alpha, "beta": beta, "smooth": smooth}.items():
            require_between(name, number, 0)
        if alpha == beta == 0:
            raise ValueError("alpha and beta must not both be 0: no mistake would cost anything.")
        require_choice("mode", mode, MODES)
        require_choice("absent", absent, ABSENT)
        require_choice("reduction", reduction, REDUCTIONS)
        if absent == "penalize" and smooth == 0:
            raise ValueError(
                "smooth must be above 0 where absent classes are penalized, got 0: their loss would be 1 whatever is "
                "predicted, without a gradient. Give e.g. smooth=1, or absent='ignore'."
            )
        add_weights(self, "class_weights", class_weights)
        self.alpha = alpha
        self.beta = beta
        self.mode: Mode = mode
        self.smooth = smooth
        self.per_image = per_image
        self.absent: Absent = absent
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """`(B, C, ...)`, `(B, ...)` → `()`."""
        return tversky_loss(
            output,
            target,
            self.alpha,
            self.beta,
            self.mode,
            self.smooth,
            self.per_image,
            self.absent,
            self.class_weights,
            self.ignore_index,
            self.reduction,
        )


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
    r"""Dice loss 1 − (2 Σpy + s) / (Σp + Σy + s), by class, then the mean over classes.

    p is the softmax (multiclass) or sigmoid of the output, y the target, s the `smooth`. It is the Tversky loss with
    both prices ½ and half the smoothing; arguments, shapes and errors are those of `tversky_loss`.

    Example:
        >>> import torch
        >>> dice_loss(torch.zeros(1, 4), torch.tensor([[1, 1, 0, 0]]), mode="binary")
        tensor(0.4000)

    Reference:
        Milletari, Navab, Ahmadi: V-Net: fully convolutional neural networks for volumetric medical image
        segmentation, 2016 (there with squares in the denominator, here without).
    """
    return tversky_loss(
        output, target, 0.5, 0.5, mode, smooth / 2, per_image, absent, class_weights, ignore_index, reduction
    )


class DiceLoss(TverskyLoss):
    """Dice loss as a module: see `dice_loss`.

    Args:
        mode: `multiclass`: each pixel has one class; `multilabel`: any number of them; `binary`: one yes or no.
        smooth: s ≥ 0, in pixels; above 0 where absent classes are penalized.
        per_image: Overlap of each image by itself instead of the batch as one image.
        absent: `penalize` or `ignore` classes without a pixel.
        class_weights: One a class, ≥ 0; 0 leaves a class out, such as the background.
        ignore_index: The target that means "not labelled".
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: A negative smooth, or 0 with absent classes penalized; weights that are negative, not finite or
            all 0; an unknown word.

    Example:
        >>> import torch
        >>> DiceLoss("binary", absent="ignore")(torch.zeros(1, 4), torch.tensor([[0, 0, 0, 0]]))
        tensor(0.)
    """

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
        super().__init__(0.5, 0.5, mode, smooth, per_image, absent, class_weights, ignore_index, reduction)
        self.smooth = smooth / 2  # Tversky's: its ratio is half of Dice's above and below


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
    r"""Jaccard loss 1 − (Σpy + s) / (Σp + Σy − Σpy + s), by class, then the mean over classes.

    p is the softmax (multiclass) or sigmoid of the output, y the target, s the `smooth`. It is the Tversky loss with
    both prices 1; arguments, shapes and errors are those of `tversky_loss`.

    Example:
        >>> import torch
        >>> jaccard_loss(torch.zeros(1, 4), torch.tensor([[1, 1, 0, 0]]), mode="binary")
        tensor(0.5000)

    Reference:
        Rahman, Wang: Optimizing intersection-over-union in deep neural networks for image segmentation, 2016.
    """
    return tversky_loss(
        output, target, 1.0, 1.0, mode, smooth, per_image, absent, class_weights, ignore_index, reduction
    )


class JaccardLoss(TverskyLoss):
    """Jaccard loss as a module: see `jaccard_loss`.

    Args:
        mode: `multiclass`: each pixel has one class; `multilabel`: any number of them; `binary`: one yes or no.
        smooth: s ≥ 0, in pixels; above 0 where absent classes are penalized.
        per_image: Overlap of each image by itself instead of the batch as one image.
        absent: `penalize` or `ignore` classes without a pixel.
        class_weights: One a class, ≥ 0; 0 leaves a class out, such as the background.
        ignore_index: The target that means "not labelled".
        reduction: `mean`, `sum` or `none`.

    Raises:
        ValueError: A negative smooth, or 0 with absent classes penalized; weights that are negative, not finite or
            all 0; an unknown word.

    Example:
        >>> import torch
        >>> JaccardLoss("binary", absent="ignore")(torch.zeros(1, 4), torch.tensor([[0, 0, 0, 0]]))
        tensor(0.)
    """

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
        super().__init__(1.0, 1.0, mode, smooth, per_image, absent, class_weights, ignore_index, reduction)
