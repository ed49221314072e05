"""`descent show losses`: value and gradient of the losses for regression, classification and segmentation."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from foundation.figure_style import COLORS, grid, legend, save
from lightning_modules.losses import (
    cross_entropy,
    dice_loss,
    jaccard_loss,
    msle,
    probability_bce,
    softmax_focal_loss,
    tversky_loss,
)

Curve = Callable[[Tensor], Tensor]
"""Maps points of the x axis to the loss of a sample at each point."""


def draw(out: Path) -> list[Path]:
    """Draw the three figures and return their paths."""
    error = torch.linspace(-3, 3, 601)
    p = torch.linspace(0.005, 0.995, 496)
    return [
        family(out, "losses_regression", regression(), error, "error, prediction minus target", (-0.2, 5)),
        family(out, "losses_classification", classification(), p, "probability of the true class", (-0.2, 5)),
        family(out, "losses_overlap", overlap(), p, "foreground probability; background: a tenth", (-0.05, 1.05)),
    ]


def regression() -> dict[str, Curve]:
    """Return the losses of one sample by its error; the target is 1 for the logarithmic loss and 0 for the others."""

    def against_zero(loss: Callable[..., Tensor], **options: Any) -> Curve:
        return lambda e: loss(e, torch.zeros_like(e), reduction="none", **options)

    return {
        "mse": against_zero(F.mse_loss),
        "mae (and rmse of one sample)": against_zero(F.l1_loss),
        "huber, delta 1": against_zero(F.huber_loss, delta=1.0),
        "huber, delta 0.5": against_zero(F.huber_loss, delta=0.5),
        "smooth_l1, beta 0.5": against_zero(F.smooth_l1_loss, beta=0.5),
        "msle, floor -0.5, target 1": lambda e: msle(e + 1, torch.ones_like(e), floor=-0.5, reduction="none"),
    }


def classification() -> dict[str, Curve]:
    """Return the losses of one sample of two classes by the probability of the true class."""

    def on_logits(loss: Callable[..., Tensor], **options: Any) -> Curve:
        def curve(p: Tensor) -> Tensor:
            logits = torch.stack([torch.zeros_like(p), torch.logit(p)], dim=1)
            return loss(logits, torch.ones(len(p), dtype=torch.int64), reduction="none", **options)

        return curve

    return {
        "cross_entropy": on_logits(cross_entropy),
        "cross_entropy_smooth, 0.1": on_logits(cross_entropy, label_smoothing=0.1),
        "focal, gamma 0.5": on_logits(softmax_focal_loss, gamma=0.5),
        "focal, gamma 2": on_logits(softmax_focal_loss, gamma=2.0),
        "focal, gamma 5": on_logits(softmax_focal_loss, gamma=5.0),
        "bce of probabilities": lambda p: probability_bce(p, torch.ones_like(p), reduction="none"),
    }


def overlap() -> dict[str, Curve]:
    """Return the losses of a mask: 100 of 1,000 pixels are foreground and get p, the others get p / 10."""
    target = torch.zeros(1, 1000, dtype=torch.int64)
    target[:, :100] = 1

    def on_mask(loss: Callable[..., Tensor], **options: Any) -> Curve:
        def curve(p: Tensor) -> Tensor:
            logits = torch.logit(torch.where(target.bool(), p[:, None], p[:, None] / 10))
            masks = target.expand(len(p), -1)
            return loss(logits, masks, mode="binary", per_image=True, reduction="none", **options)[:, 0]

        return curve

    return {
        "dice": on_mask(dice_loss),
        "jaccard": on_mask(jaccard_loss),
        "tversky, a miss costs 0.7, a false alarm 0.3": on_mask(tversky_loss, alpha=0.3, beta=0.7),
        "tversky, a miss costs 0.3, a false alarm 0.7": on_mask(tversky_loss, alpha=0.7, beta=0.3),
    }


def family(
    out: Path, name: str, curves: Mapping[str, Curve], x: Tensor, label: str, limits: tuple[float, float]
) -> Path:
    """Draw the values of several losses, and beside them their gradients."""
    by_logit = "classification" in name
    figure, (values, slopes) = grid(2, columns=2, size=(5.0, 3.6))
    for number, (title, curve) in enumerate(curves.items()):
        points = x.clone().requires_grad_()
        value = curve(points)
        (slope,) = torch.autograd.grad(value.sum(), points)
        style = "-" if number % 2 == 0 else "--"
        if by_logit:
            slope = slope * x * (1 - x)
        for axes, line in ((values, value.detach()), (slopes, slope)):
            axes.plot(x, line, style, color=COLORS[number % len(COLORS)], label=title, linewidth=1.6)
    values.set(title="value", xlabel=label, ylabel="loss", ylim=limits)
    what = "gradient with respect to the logit" if by_logit else "gradient"
    slopes.set(title=what, xlabel=label, ylabel="derivative of the loss")
    if not by_logit:
        slopes.set_ylim(-4 if limits[1] > 2 else -3.5, 4 if limits[1] > 2 else 0.1)
    legend(values)
    return save(figure, out, name)
