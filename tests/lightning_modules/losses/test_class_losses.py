"""Cross-entropy and softmax focal loss: against torch and timm, by identities, at extreme values."""

import pytest
import torch
import torch.nn.functional as F
from timm.loss.asymmetric_loss import AsymmetricLossSingleLabel
from torch import Tensor

from lightning_modules.losses import SoftmaxFocalLoss, WeightedCrossEntropyLoss, cross_entropy, softmax_focal_loss

WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.0, 2.0])


def logits_and_labels(*spatial: int, ignored: int | None = None) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    target = torch.randint(5, (40, *spatial), generator=g)
    if ignored is not None:
        target.view(-1)[::3] = ignored
    return torch.randn(40, 5, *spatial, generator=g) * 3, target


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("spatial", [(), (7,), (3, 2)])
def test_cross_entropy_equals_torch(
    spatial: tuple[int, ...], weights: Tensor | None, smoothing: float, reduction: str
) -> None:
    output, target = logits_and_labels(*spatial, ignored=-100)
    expected = F.cross_entropy(output, target, weights, reduction=reduction, label_smoothing=smoothing)
    actual = cross_entropy(output, target, weights, smoothing, reduction=reduction)  # type: ignore[arg-type]
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_cross_entropy_of_soft_targets_equals_torch(weights: Tensor | None, smoothing: float, reduction: str) -> None:
    output, _ = logits_and_labels(3, 2)
    target = torch.softmax(torch.randn(40, 5, 3, 2, generator=torch.Generator().manual_seed(0)), 1)
    expected = F.cross_entropy(output, target, weights, reduction=reduction, label_smoothing=smoothing)
    actual = cross_entropy(output, target, weights, smoothing, reduction=reduction)  # type: ignore[arg-type]
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_focal_without_gamma_is_cross_entropy(weights: Tensor | None, smoothing: float) -> None:
    output, target = logits_and_labels(3, ignored=255)
    expected = F.cross_entropy(output, target, weights, label_smoothing=smoothing, ignore_index=255)
    actual = softmax_focal_loss(output, target, 0.0, None, weights, smoothing, ignore_index=255)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_equals_timm(gamma: float) -> None:
    output, target = logits_and_labels()
    oracle = AsymmetricLossSingleLabel(gamma_pos=gamma, gamma_neg=0, eps=0)
    torch.testing.assert_close(softmax_focal_loss(output, target, gamma), oracle(output, target))


def test_focal_by_hand() -> None:
    output = torch.tensor([[0.0, 0.0], [torch.tensor(9.0).log(), 0.0]])  # p = ½, ½ and 0.9, 0.1
    target = torch.tensor([0, 1])
    actual = softmax_focal_loss(output, target, 2.0, torch.tensor([1.0, 4.0]), reduction="none")
    expected = torch.tensor([0.25 * 0.693147, 4 * 0.81 * 2.302585])
    torch.testing.assert_close(actual, expected)


def test_alpha_by_class_is_not_divided_out_but_class_weights_are() -> None:
    output, target = logits_and_labels()
    one = torch.full((5,), 7.0)
    plain = softmax_focal_loss(output, target)
    torch.testing.assert_close(softmax_focal_loss(output, target, alpha=one), 7 * plain)
    torch.testing.assert_close(softmax_focal_loss(output, target, alpha=torch.tensor(7.0)), 7 * plain)
    torch.testing.assert_close(softmax_focal_loss(output, target, class_weights=one), plain)


def test_the_factor_is_unweighted_and_unsmoothed() -> None:
    """With weights inside F.cross_entropy, exp(−ce) is not a probability."""
    output, target = logits_and_labels()
    p_t = torch.softmax(output, 1).gather(1, target[:, None])[:, 0]
    cost = F.cross_entropy(output, target, WEIGHTS, reduction="none", label_smoothing=0.3)
    expected = ((1 - p_t) ** 2 * cost).sum() / WEIGHTS[target].sum()
    actual = softmax_focal_loss(output, target, 2.0, class_weights=WEIGHTS, label_smoothing=0.3)
    torch.testing.assert_close(actual, expected)


def test_mixed_targets_give_the_mixture_of_the_losses() -> None:
    output, first = logits_and_labels()
    second = first.roll(1)
    mixed = 0.3 * F.one_hot(first, 5) + 0.7 * F.one_hot(second, 5)
    for options in ({}, {"label_smoothing": 0.1}, {"alpha": WEIGHTS}):
        expected = 0.3 * softmax_focal_loss(output, first, **options) + 0.7 * softmax_focal_loss(
            output, second, **options
        )
        torch.testing.assert_close(softmax_focal_loss(output, mixed, **options), expected)


@pytest.mark.parametrize("gamma", [0.01, 0.5, 1.0, 2.0])
def test_gradient_is_finite_at_certainty(gamma: float) -> None:
    for soft in (False, True):
        output = torch.tensor([[100.0, 0.0, 0.0]], requires_grad=True)
        target = torch.tensor([[1.0, 0.0, 0.0]]) if soft else torch.tensor([0])
        (slope,) = torch.autograd.grad(softmax_focal_loss(output, target, gamma), output)
        assert slope.isfinite().all()
        assert slope.abs().max() < 1e-6


def test_ignore_index_may_be_a_class_or_none_of_them() -> None:
    output, target = logits_and_labels()
    keep = target != 2
    for loss in (cross_entropy, softmax_focal_loss):
        torch.testing.assert_close(loss(output, target, ignore_index=2), loss(output[keep], target[keep]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_whole_number_dtypes(dtype: torch.dtype) -> None:
    output, target = logits_and_labels()
    torch.testing.assert_close(cross_entropy(output, target.to(dtype)), F.cross_entropy(output, target))


@pytest.mark.parametrize(
    ("output", "target", "message"),
    [
        (torch.zeros(3), torch.zeros(3).long(), r"output must be logits \(B, C, \.\.\.\), got shape \(3,\)"),
        (
            torch.zeros(3, 2),
            torch.zeros(3, 1).long(),
            r"class numbers of shape \(3,\).*got torch.int64 of shape \(3, 1\)",
        ),
        (torch.zeros(3, 2), torch.zeros(3), r"class probabilities of shape \(3, 2\)"),
        (torch.zeros(3, 2), torch.tensor([0, 1, 2]), "class numbers from 0 to 1 or ignore_index -100, got 2"),
        (torch.zeros(3, 2), torch.tensor([0, -1, 1]), "class numbers from 0 to 1 or ignore_index -100, got -1"),
        (torch.zeros(1, 2), torch.tensor([[0.5, 1.5]]), r"target must be finite and in \[0, 1\], got 1.5"),
        (torch.zeros(1, 2), torch.tensor([[0.5, -1.0]]), r"target must be finite and in \[0, 1\], got -1"),
        (torch.zeros(1, 2), torch.tensor([[0.5, torch.nan]]), r"target must be finite and in \[0, 1\], got nan"),
    ],
)
def test_bad_input(output: Tensor, target: Tensor, message: str) -> None:
    for loss in (WeightedCrossEntropyLoss(), SoftmaxFocalLoss()):
        with pytest.raises(ValueError, match=message):
            loss(output, target)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"gamma must be ≥ 0, got -1\.0\."):
        SoftmaxFocalLoss(gamma=-1.0)
    with pytest.raises(ValueError, match=r"gamma must be ≥ 0, got nan\."):
        SoftmaxFocalLoss(gamma=float("nan"))
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\], got 1\.5"):
        WeightedCrossEntropyLoss(label_smoothing=1.5)
    with pytest.raises(ValueError, match=r"class_weights must be finite, ≥ 0 and not all 0, got \[1\.0, -1\.0\]"):
        WeightedCrossEntropyLoss([1.0, -1.0])
    with pytest.raises(ValueError, match=r"alpha must be finite, ≥ 0 and not all 0, got 0\.0"):
        SoftmaxFocalLoss(alpha=0.0)
    with pytest.raises(ValueError, match=r"class_weights must be one number per class, got shape \(0,\)"):
        WeightedCrossEntropyLoss([])
    with pytest.raises(ValueError, match="class_weights must have one number per class: got 2 numbers for 3 classes"):
        WeightedCrossEntropyLoss([1.0, 2.0])(torch.zeros(1, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match="alpha must have one number per class: got 2 numbers for 3 classes"):
        SoftmaxFocalLoss(alpha=[1.0, 2.0])(torch.zeros(1, 3), torch.tensor([0]))
