"""Losses that other libraries have too, each with the tensors on which it is timed."""

import importlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules import losses

Step = Callable[[Tensor, Tensor], Tensor]


class Race(NamedTuple):
    """Implementations of one loss, ours first, with the tensors on which they are timed."""

    name: str
    output: Tensor
    target: Tensor
    steps: dict[str, Step]


def library(name: str) -> Any:
    """Import a module, or return `None` if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def races() -> Iterator[Race]:
    """List every loss that another library has too, with tensors of a usual size."""
    g = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(512, 100, generator=g), torch.randint(100, (512,), generator=g)
    scores, boxes = torch.randn(64, 20000, generator=g), (torch.rand(64, 20000, generator=g) < 0.1).float()
    scene, masks = torch.randn(8, 8, 128, 128, generator=g), torch.randint(8, (8, 128, 128), generator=g)
    blob, blobs = torch.randn(8, 1, 256, 256, generator=g), (torch.rand(8, 1, 256, 256, generator=g) < 0.2).float()
    values, truth = torch.randn(512, 1000, generator=g).abs(), torch.randn(512, 1000, generator=g).abs()
    yield Race("cross-entropy", logits, labels, cross_entropies())
    yield Race("cross-entropy, pixels", scene, masks, cross_entropies())
    yield Race("softmax focal", logits, labels, softmax_focals(pixels=False))
    yield Race("softmax focal, pixels", scene, masks, softmax_focals(pixels=True))
    yield Race("sigmoid cross-entropy", scores, boxes, sigmoid_cross_entropies())
    yield Race("sigmoid focal", scores, boxes, sigmoid_focals())
    yield Race("sigmoid focal, whole targets", scores, boxes.long(), sigmoid_focals())
    yield Race("BCE of probabilities", values / 10, (truth > 1).float(), probability_bces())
    yield Race("Dice", scene, masks, multiclass_overlaps("dice"))
    yield Race("Jaccard", scene, masks, multiclass_overlaps("jaccard"))
    yield Race("Tversky", scene, masks, multiclass_overlaps("tversky"))
    yield Race("Dice, binary", blob, blobs, binary_dices())
    yield Race("RMSE", values, truth, {"ours": losses.RMSELoss(), "torch √MSE": lambda x, y: F.mse_loss(x, y).sqrt()})
    yield Race("MSLE", values, truth, msles())


def cross_entropies() -> dict[str, Step]:
    """Cross-entropy; ours calls torch's."""
    return {"ours": losses.WeightedCrossEntropyLoss(), "torch": F.cross_entropy}


def softmax_focals(pixels: bool) -> dict[str, Step]:
    """Focal loss of a softmax, γ = 2."""
    steps: dict[str, Step] = {"ours": losses.SoftmaxFocalLoss(2.0)}
    if kornia := library("kornia.losses"):
        steps["kornia"] = lambda x, y: kornia.focal_loss(x, y, None, 2.0, "mean")
    if monai := library("monai.losses"):
        focal = monai.FocalLoss(to_onehot_y=True, use_softmax=True, gamma=2.0)
        steps["monai"] = lambda x, y: focal(x, y.unsqueeze(1)) * x.shape[1]
    if not pixels:
        from timm.loss.asymmetric_loss import AsymmetricLossSingleLabel

        steps["timm"] = AsymmetricLossSingleLabel(gamma_pos=2, gamma_neg=0, eps=0.0)
    return steps


def sigmoid_cross_entropies() -> dict[str, Step]:
    """Cross-entropy; ours calls torch's."""
    return {
        "ours": losses.SigmoidCrossEntropyLoss(),
        "torch": F.binary_cross_entropy_with_logits,
    }


def sigmoid_focals() -> dict[str, Step]:
    """Focal loss of a sigmoid (binary targets), γ = 2, α = ¼."""
    from torchvision.ops import sigmoid_focal_loss

    steps: dict[str, Step] = {
        "ours": losses.SigmoidFocalLoss(2.0, 0.25),
        "torchvision": lambda x, y: sigmoid_focal_loss(x, y.float(), 0.25, 2.0, "mean"),
    }
    if kornia := library("kornia.losses"):
        steps["kornia"] = lambda x, y: kornia.binary_focal_loss_with_logits(x, y.float(), 0.25, 2.0, "mean")
    if monai := library("monai.losses"):
        focal = monai.FocalLoss(gamma=2.0, alpha=0.25)
        steps["monai"] = lambda x, y: focal(x[:, None], y[:, None].float())
    if smp := library("segmentation_models_pytorch.losses"):
        steps["smp"] = smp.FocalLoss("binary", alpha=0.25, gamma=2.0)
    return steps


def probability_bces() -> dict[str, Step]:
    """Binary cross-entropy of probabilities."""
    return {
        "ours": lambda x, y: losses.probability_bce(x.clamp(0, 1), y),
        "torch": lambda x, y: F.binary_cross_entropy(x.clamp(0, 1), y),
    }


def multiclass_overlaps(which: str) -> dict[str, Step]:
    """Overlap losses per class over the batch; kornia's and monai's are per image where there is no other option."""
    ours = {"dice": losses.DiceLoss(), "jaccard": losses.JaccardLoss(), "tversky": losses.TverskyLoss(0.3, 0.7)}
    steps: dict[str, Step] = {"ours": ours[which]}
    if smp := library("segmentation_models_pytorch.losses"):
        theirs = {
            "dice": lambda: smp.DiceLoss("multiclass", smooth=1.0),
            "jaccard": lambda: smp.JaccardLoss("multiclass", smooth=1.0),
            "tversky": lambda: smp.TverskyLoss("multiclass", smooth=1.0, alpha=0.3, beta=0.7),
        }
        steps["smp"] = theirs[which]()
    if monai := library("monai.losses"):
        options = {"to_onehot_y": True, "softmax": True, "batch": True}
        loss = {
            "dice": lambda: monai.DiceLoss(**options, smooth_nr=1.0, smooth_dr=1.0),
            "jaccard": lambda: monai.DiceLoss(**options, jaccard=True, smooth_nr=1.0, smooth_dr=1.0),
            "tversky": lambda: monai.TverskyLoss(**options, alpha=0.3, beta=0.7, smooth_nr=1.0, smooth_dr=1.0),
        }[which]()
        steps["monai"] = lambda x, y: loss(x, y.unsqueeze(1))
    if (kornia := library("kornia.losses")) and which != "jaccard":
        steps["kornia"] = kornia.dice_loss if which == "dice" else lambda x, y: kornia.tversky_loss(x, y, 0.3, 0.7)
    return steps


def binary_dices() -> dict[str, Step]:
    """Dice loss of one class against the background."""
    steps: dict[str, Step] = {"ours": losses.DiceLoss("binary")}
    if smp := library("segmentation_models_pytorch.losses"):
        steps["smp"] = smp.DiceLoss("binary", smooth=1.0)
    if monai := library("monai.losses"):
        steps["monai"] = monai.DiceLoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)
    return steps


def msles() -> dict[str, Step]:
    """Mean squared logarithmic error; torchmetrics has it as a differentiable metric."""
    from torchmetrics.functional import mean_squared_log_error

    return {"ours": losses.MSLELoss(), "torchmetrics": mean_squared_log_error}
