"""Binary and multi-label losses: against torch and torchvision, by identities, at extreme values."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss as torchvision_focal

from lightning_modules.losses import (
    ProbabilityBCELoss,
    SigmoidCrossEntropyLoss,
    SigmoidFocalLoss,
    probability_bce,
    sigmoid_cross_entropy,
    sigmoid_focal_loss,
)


def logits_and_labels(*shape: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.randn(*shape, generator=g) * 3, torch.randint(2, shape, generator=g)


@pytest.mark.parametrize("pos_weight", [None, torch.tensor([0.5, 1.0, 7.0])], ids=["plain", "weighted"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_equals_torch(pos_weight: Tensor | None, reduction: str) -> None:
    output, target = logits_and_labels(40, 3)
    expected = F.binary_cross_entropy_with_logits(output, target.float(), pos_weight=pos_weight, reduction=reduction)
    for labels in (target, target.bool(), target.float()):
        actual = sigmoid_cross_entropy(output, labels, pos_weight, reduction=reduction)  # type: ignore[arg-type]
        torch.testing.assert_close(actual, expected)


def test_pos_weight_by_channel_of_images() -> None:
    output, target = logits_and_labels(4, 3, 5, 2)
    weight = torch.tensor([0.5, 1.0, 7.0])
    expected = F.binary_cross_entropy_with_logits(output, target.float(), pos_weight=weight[:, None, None])
    torch.testing.assert_close(sigmoid_cross_entropy(output, target, weight), expected)


def test_label_smoothing_moves_targets_towards_a_half() -> None:
    output, target = logits_and_labels(40)
    expected = F.binary_cross_entropy_with_logits(output, 0.8 * target + 0.1)
    torch.testing.assert_close(sigmoid_cross_entropy(output, target, label_smoothing=0.2), expected)


@pytest.mark.parametrize("loss", [SigmoidCrossEntropyLoss(), SigmoidFocalLoss(alpha=0.3)])
def test_class_numbers_become_one_against_the_rest(loss: nn.Module) -> None:
    output = torch.randn(6, 4, 2, generator=torch.Generator().manual_seed(0))
    target = torch.randint(4, (6, 2), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loss(output, target), loss(output, F.one_hot(target, 4).movedim(-1, 1)))


@pytest.mark.parametrize("loss", [SigmoidCrossEntropyLoss(), SigmoidFocalLoss()])
def test_a_channel_of_one_may_be_missing_in_the_target(loss: nn.Module) -> None:
    output, target = logits_and_labels(6, 1, 2, 2)
    torch.testing.assert_close(loss(output, target[:, 0]), loss(output, target))
    torch.testing.assert_close(
        loss(output[:, :, 0, 0], target[:, 0, 0, 0]), loss(output[:, 0, 0, 0], target[:, 0, 0, 0])
    )


@pytest.mark.parametrize("kind", [SigmoidCrossEntropyLoss, SigmoidFocalLoss])
def test_unlabelled_elements_are_ignored(kind: type[nn.Module]) -> None:
    output, target = logits_and_labels(30)
    holed = target.clone()
    holed[::3] = -1
    known = holed >= 0
    for labels in (holed, holed.float()):
        torch.testing.assert_close(kind(ignore_index=-1)(output, labels), kind()(output[known], target[known]))
    classes = torch.tensor([0, 2, -1])
    logits = torch.randn(3, 3)
    torch.testing.assert_close(kind(ignore_index=-1)(logits, classes), kind()(logits[:2], classes[:2]))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("alpha", [None, 0.0, 0.25, 0.9])
def test_focal_equals_torchvision(gamma: float, alpha: float | None) -> None:
    output, target = logits_and_labels(40, 3)
    expected = torchvision_focal(output, target.float(), -1 if alpha is None else alpha, gamma, "mean")
    weight = None if alpha is None else torch.tensor(alpha)
    for labels in (target, target.float()):
        torch.testing.assert_close(sigmoid_focal_loss(output, labels, gamma, weight), expected)


def test_focal_alpha_by_label() -> None:
    output, target = logits_and_labels(40, 2)
    alpha = torch.tensor([0.2, 0.7])
    columns = [torchvision_focal(output[:, c], target[:, c].float(), float(alpha[c]), 2.0, "none") for c in (0, 1)]
    actual = sigmoid_focal_loss(output, target, 2.0, alpha, reduction="none")
    torch.testing.assert_close(actual, torch.stack(columns, 1))


def test_focal_of_mixed_targets_is_the_mixture() -> None:
    output, target = logits_and_labels(40)
    mixed = 0.3 * target + 0.7 * (1 - target)
    expected = 0.3 * sigmoid_focal_loss(output, target) + 0.7 * sigmoid_focal_loss(output, 1 - target)
    torch.testing.assert_close(sigmoid_focal_loss(output, mixed), expected)


@pytest.mark.parametrize("gamma", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_focal_gradient_is_finite_at_certainty(gamma: float, dtype: torch.dtype) -> None:
    output = torch.tensor([200.0, -200.0], requires_grad=True)
    (slope,) = torch.autograd.grad(sigmoid_focal_loss(output, torch.tensor([1, 0], dtype=dtype), gamma), output)
    assert torch.equal(slope, torch.zeros(2))


def test_probabilities_equal_torch_away_from_0_and_1() -> None:
    p, y = torch.rand(200).clamp(1e-6, 1 - 1e-6), torch.rand(200)
    p = p.requires_grad_()
    (expected,) = torch.autograd.grad(F.binary_cross_entropy(p, y), p)
    (slope,) = torch.autograd.grad(probability_bce(p, y), p)
    torch.testing.assert_close(probability_bce(p, y), F.binary_cross_entropy(p, y))
    torch.testing.assert_close(slope, expected)


def test_probabilities_of_a_sigmoid_learn_like_logits() -> None:
    """Down to probabilities of 1e-30, where torch's gradient is clipped."""
    x = torch.tensor([-65.0, -30.0, 0.0, 5.0], requires_grad=True)
    (slope,) = torch.autograd.grad(probability_bce(x.sigmoid(), torch.ones(4), "sum"), x)
    torch.testing.assert_close(slope, x.detach().sigmoid() - 1)
    (slope,) = torch.autograd.grad(F.binary_cross_entropy(x.sigmoid(), torch.ones(4), reduction="sum"), x)
    assert slope[0] > -1e-10


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_probabilities_of_0_and_1_are_finite_in_every_dtype(dtype: torch.dtype) -> None:
    p = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=dtype, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = probability_bce(p, torch.tensor([0.0, 1.0, 1.0, 0.0]), "none")
    eps, tiny = torch.finfo(dtype).eps / 2, torch.finfo(dtype).tiny
    expected = torch.tensor([-math.log(eps), -math.log(tiny), -math.log1p(-eps), tiny])
    torch.testing.assert_close(loss, expected)
    (slope,) = torch.autograd.grad(loss.sum(), p)
    assert slope.isfinite().all()
    assert slope[0] > 1
    assert slope[1] < -1


def test_float16_probabilities_give_nan_in_torch_and_not_here() -> None:
    """sigmoid(20) is 1.0 in float16; torch's gradient 10¹² is inf there, and inf times the sigmoid's 0 is NaN."""
    for loss, finite in ((nn.BCELoss(), False), (ProbabilityBCELoss(), True)):
        x = torch.tensor([20.0, -20.0], dtype=torch.float16, requires_grad=True)
        with torch.autocast("cpu", torch.float16):
            value = loss(x.sigmoid(), torch.tensor([0.0, 1.0]))
        (slope,) = torch.autograd.grad(value, x)
        assert bool(slope.isfinite().all()) == finite


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan")])
def test_logits_raise_where_probabilities_are_expected(wrong: float) -> None:
    with pytest.raises(ValueError, match=rf"output must be .* got {wrong:g}\. These look like logits: use a loss on"):
        probability_bce(torch.tensor([0.5, wrong]), torch.ones(2))


def test_bad_input() -> None:
    for loss in (SigmoidCrossEntropyLoss(), SigmoidFocalLoss()):
        with pytest.raises(ValueError, match=r"same shape, got output \(4, 3\) and target \(3, 4\)"):
            loss(torch.zeros(4, 3), torch.zeros(3, 4))
        with pytest.raises(ValueError, match=r"class numbers of shape \(4,\) for output \(4, 3\), got shape \(3,\)"):
            loss(torch.zeros(4, 3), torch.zeros(3).long())
        with pytest.raises(ValueError, match="class numbers from 0 to 2, got 3"):
            loss(torch.zeros(2, 3), torch.tensor([0, 3]))
        with pytest.raises(ValueError, match=r"target must be finite and in \[0, 1\], got 2"):
            loss(torch.zeros(2), torch.tensor([0.0, 2.0]))
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got 1\.5"):
        SigmoidFocalLoss(alpha=1.5)
    with pytest.raises(ValueError, match="gamma must be ≥ 0, got -2"):
        SigmoidFocalLoss(gamma=-2)
    with pytest.raises(ValueError, match="pos_weight must have one number per class: got 2 numbers for 3 classes"):
        SigmoidCrossEntropyLoss(pos_weight=[1.0, 2.0])(torch.zeros(1, 3), torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\], got -0\.1"):
        SigmoidCrossEntropyLoss(label_smoothing=-0.1)
