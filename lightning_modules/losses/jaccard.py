"""Jaccard loss: the overlap of prediction and target as a share of their union."""

from collections.abc import Sequence

from torch import Tensor

from lightning_modules.losses.overlap import Absent, Mode
from lightning_modules.losses.reduction import Reduction
from lightning_modules.losses.tversky import TverskyLoss, tversky_loss


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
        per_image: Overlap of each picture by itself instead of the batch as one picture.
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
