"""Test cases of the losses: a preset or a variant of it, its reference, and inputs of its kind.

A new preset in configs/losses needs an entry here; a test fails if it is missing.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from jsonargparse import ArgumentParser
from torch import Tensor, nn

from lightning_modules.losses import (
    DiceLoss,
    JaccardLoss,
    SigmoidCrossEntropyLoss,
    SigmoidFocalLoss,
    SoftmaxFocalLoss,
    TverskyLoss,
    WeightedCrossEntropyLoss,
)
from tests.lightning_modules.losses import reference as ref

PRESETS = Path(__file__).parents[3] / "configs" / "losses"
Kind = Literal[
    "regression",
    "positive",
    "probability",
    "binary",
    "class",
    "soft",
    "soft_binary",
    "mask",
    "binary_mask",
    "real_fake",
]
Input = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Case:
    """A loss, its reference, and the kind of its inputs."""

    kind: Kind
    reference: ref.Reference
    build: Callable[[], nn.Module] | None = None  # None: the preset of the case's name
    empty: Literal["zero", "nan"] = "zero"  # the loss of an empty batch: torch's own means give NaN
    ignored: int | None = None


@cache
def preset(name: str) -> nn.Module:
    """Build the loss of a preset with the parser that configs use."""
    parser = ArgumentParser()
    parser.add_argument("--loss", type=nn.Module)
    settings = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())
    loss: nn.Module = parser.instantiate(parser.parse_object({"loss": settings})).loss
    return loss


def build(name: str) -> nn.Module:
    """Build the loss of a case."""
    make = CASES[name].build
    return make() if make else copy.deepcopy(preset(name))


def _log(x: Any) -> Any:
    return x.ln()


CASES: dict[str, Case] = {
    "mse": Case("regression", ref.elementwise(lambda x, y: (x - y) ** 2), empty="nan"),
    "mae": Case("regression", ref.elementwise(lambda x, y: abs(x - y)), empty="nan"),
    "huber": Case("regression", ref.elementwise(ref.huber("1")), empty="nan"),
    "smooth_l1": Case("regression", ref.elementwise(ref.huber("1")), empty="nan"),
    "huber, delta 0.5": Case(
        "regression", ref.elementwise(ref.huber("0.5")), lambda: nn.HuberLoss(delta=0.5), empty="nan"
    ),
    "smooth_l1, beta 0.5": Case(
        "regression",
        ref.elementwise(lambda x, y: 2 * ref.huber("0.5")(x, y)),
        lambda: nn.SmoothL1Loss(beta=0.5),
        empty="nan",
    ),
    "rmse": Case("regression", ref.rmse),
    "msle": Case("positive", ref.elementwise(ref.msle("-0.5"))),
    "bce": Case("probability", ref.elementwise(ref.bce)),
    "bce_logits": Case("binary", ref.sigmoid_focal()),
    "bce_logits, pos_weight 3, smoothing 0.1": Case(
        "binary",
        ref.sigmoid_focal(pos_weight="3", smoothing="0.1"),
        lambda: SigmoidCrossEntropyLoss(pos_weight=3.0, label_smoothing=0.1, ignore_index=-1),
        ignored=-1,
    ),
    "focal_sigmoid": Case("binary", ref.sigmoid_focal("2", "0.25")),
    "focal_sigmoid, gamma 0.5": Case(
        "binary", ref.sigmoid_focal("0.5"), lambda: SigmoidFocalLoss(0.5, ignore_index=-1), ignored=-1
    ),
    "focal_sigmoid, soft targets": Case(
        "soft_binary", ref.sigmoid_focal("2", "0.25"), lambda: SigmoidFocalLoss(2, 0.25)
    ),
    "cross_entropy": Case("class", ref.focal(), empty="nan", ignored=-100),
    "cross_entropy_smooth": Case("class", ref.focal(smoothing="0.1"), empty="nan", ignored=-100),
    "cross_entropy_weighted": Case("class", ref.focal(), ignored=-100),
    "cross_entropy_weighted, weights, smoothing 0.1": Case(
        "class",
        ref.focal(weights=("1", "2", "0.5"), smoothing="0.1", ignore_index=1),
        lambda: WeightedCrossEntropyLoss([1.0, 2.0, 0.5], 0.1, ignore_index=1),
        ignored=1,
    ),
    "cross_entropy_weighted, soft targets": Case(
        "soft",
        ref.focal(weights=("1", "2", "0.5"), smoothing="0.1"),
        lambda: WeightedCrossEntropyLoss([1.0, 2.0, 0.5], 0.1),
    ),
    "focal": Case("class", ref.focal("2"), ignored=-100),
    "focal, gamma 0.5": Case("class", ref.focal("0.5"), lambda: SoftmaxFocalLoss(0.5), ignored=-100),
    "focal, gamma 0.5, smoothing 0.1": Case(
        "class",
        ref.focal("0.5", smoothing="0.1"),
        lambda: SoftmaxFocalLoss(0.5, label_smoothing=0.1),
        ignored=-100,
    ),
    "focal, gamma 2, alpha, weights, smoothing 0.1": Case(
        "class",
        ref.focal("2", ("0.25", "1", "4"), ("1", "2", "0.5"), "0.1", ignore_index=2),
        lambda: SoftmaxFocalLoss(2.0, [0.25, 1.0, 4.0], [1.0, 2.0, 0.5], 0.1, ignore_index=2),
        ignored=2,
    ),
    "focal, gamma 0.5, alpha, smoothing 0.1, soft targets": Case(
        "soft",
        ref.focal("0.5", ("0.25", "1", "4"), None, "0.1"),
        lambda: SoftmaxFocalLoss(0.5, [0.25, 1.0, 4.0], None, 0.1),
    ),
    "dice": Case("mask", ref.overlap("0.5", "0.5", "0.5", "multiclass", 3), ignored=255),
    "dice, by image, absent ignored, weights": Case(
        "mask",
        ref.overlap("0.5", "0.5", "0", "multiclass", 3, True, True, ("0", "1", "2")),
        lambda: DiceLoss("multiclass", 0.0, True, "ignore", [0.0, 1.0, 2.0], 255),
        ignored=255,
    ),
    "dice_binary": Case("binary_mask", ref.overlap("0.5", "0.5", "0.5", "binary", 1), ignored=255),
    "jaccard": Case("mask", ref.overlap("1", "1", "1", "multiclass", 3), ignored=255),
    "jaccard, multilabel, by image": Case(
        "binary_mask",
        ref.overlap("1", "1", "1", "multilabel", 1, True),
        lambda: JaccardLoss("multilabel", per_image=True, ignore_index=255),
        ignored=255,
    ),
    "tversky": Case("mask", ref.overlap("0.3", "0.7", "1", "multiclass", 3), ignored=255),
    "tversky, binary, absent ignored": Case(
        "binary_mask",
        ref.overlap("0.3", "0.7", "0.1", "binary", 1, False, True),
        lambda: TverskyLoss(0.3, 0.7, "binary", 0.1, absent="ignore", ignore_index=255),
        ignored=255,
    ),
    "adversarial_non_saturating": Case(
        "real_fake",
        ref.adversarial(lambda x: -_log(ref.sigmoid(x)), lambda x: -_log(ref.sigmoid(-x))),
    ),
    "adversarial_least_squares": Case("real_fake", ref.adversarial(lambda x: (x - 1) ** 2 / 2, lambda x: x**2 / 2)),
    "adversarial_hinge": Case(
        "real_fake", ref.adversarial(lambda x: max(ref.ZERO, 1 - x), lambda x: max(ref.ZERO, 1 + x))
    ),
}


def random_input(kind: Kind, ignored: int | None = None, scale: float = 3.0, seed: int = 0) -> Input:
    """Make predictions and targets of a kind; a sixth of the targets is ignored if the loss ignores any."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g) * scale

    def whole(high: int, *shape: int) -> Tensor:
        target = torch.randint(high, shape, generator=g)
        if ignored is not None:
            target.view(-1)[::6] = ignored
        return target

    made: dict[Kind, Callable[[], Input]] = {
        "regression": lambda: (normal(6, 2), normal(6, 2)),
        "positive": lambda: (normal(6), normal(6).abs() * 10),
        "probability": lambda: (torch.rand(8, generator=g), torch.randint(2, (8,), generator=g).float()),
        "binary": lambda: (normal(6, 2), whole(2, 6, 2)),
        "class": lambda: (normal(6, 3), whole(3, 6)),
        "soft_binary": lambda: (normal(6), torch.rand(6, generator=g)),
        "soft": lambda: (normal(4, 3), torch.softmax(normal(4, 3), 1)),
        "mask": lambda: (normal(2, 3, 2, 2), whole(3, 2, 2, 2)),
        "binary_mask": lambda: (normal(2, 1, 2, 3), whole(2, 2, 1, 2, 3)),
        "real_fake": lambda: (normal(6), torch.tensor([1, 0, 1, 1, 0, 0])),
    }
    return made[kind]()


def inputs(case: Case) -> dict[str, Input]:
    """Make random, extreme and degenerate inputs of a case."""
    output, target = random_input(case.kind, case.ignored)
    if case.kind == "probability":
        edge = torch.tensor([1e-6, 1e-30, 1 - 6e-8, 0.5, 0.999, 1e-3])
        return {
            "random": (output, target),
            "extreme": (edge, torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])),
            "degenerate": (torch.full((4,), 0.5), torch.tensor([0.5, 0.0, 1.0, 0.25])),
        }
    made = {"random": (output, target), "extreme": (1e4 * output.sign(), target)}
    if case.kind in ("regression", "positive"):
        return made | {"no error": (target.clone(), target)}
    made["all alike"] = (torch.zeros_like(output), target)
    if case.kind == "class":
        sure = torch.nn.functional.one_hot(target.clamp(0, 2), 3) * 2e4 - 1e4
        made |= {"certain": (sure, target), "nearly certain": (sure / 1e3, target)}
    if case.kind == "soft":  # most of the share is at the larger logit, but for one target
        made["nearly certain"] = (20 * torch.nn.functional.one_hot(target.argmax(1), 3) - 10.0, target)
    if case.kind == "binary":
        made["certain"] = (target * 2e4 - 1e4, target)
    if case.kind in ("mask", "binary_mask"):
        made["absent"] = (output, torch.zeros_like(target))
    return made
