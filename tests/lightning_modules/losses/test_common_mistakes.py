"""Common mistakes with losses, as docs/losses.md lists them: the wrong value, and the right one beside it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lightning_modules.losses import MSLELoss, RMSELoss, SoftmaxFocalLoss

# Probabilities, passed to losses that take logits; the classes are those of the largest entries.
PROBABILITIES = torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9], [0.6, 0.2, 0.2]])
CLASSES = torch.tensor([0, 1, 2, 0])
LOGITS = PROBABILITIES.log()  # a softmax of these gives the probabilities back


def test_cross_entropy_of_probabilities() -> None:
    assert nn.CrossEntropyLoss()(PROBABILITIES, CLASSES) == pytest.approx(0.6939, abs=5e-5)
    assert nn.CrossEntropyLoss()(LOGITS, CLASSES) == pytest.approx(0.2362, abs=5e-5)
    assert F.nll_loss(LOGITS, CLASSES) == pytest.approx(0.2362, abs=5e-5)


def test_focal_of_probabilities() -> None:
    focal = SoftmaxFocalLoss(gamma=2.0, alpha=0.25)
    assert focal(PROBABILITIES, CLASSES) == pytest.approx(0.0445, abs=5e-5)
    assert focal(LOGITS, CLASSES) == pytest.approx(0.0058, abs=5e-5)


def test_one_alpha_for_every_class_only_rescales() -> None:
    slopes: list[torch.Tensor] = []
    for alpha in (0.25, 1.0):
        logits = LOGITS.clone().requires_grad_()
        slopes += torch.autograd.grad(SoftmaxFocalLoss(alpha=alpha)(logits, CLASSES), logits)
    torch.testing.assert_close(4 * slopes[0], slopes[1])


def test_smooth_l1_is_not_huber() -> None:
    output, target = torch.tensor([0.0, 5.0]), torch.tensor([1.0, 0.0])
    assert nn.HuberLoss(delta=2.0)(output, target) == pytest.approx((0.5 + (2 * 5 - 2)) / 2)
    assert nn.SmoothL1Loss(beta=2.0)(output, target) == pytest.approx((0.5 + (2 * 5 - 2)) / 2 / 2)


def test_rmse_at_zero_error() -> None:
    output = torch.ones(4, requires_grad=True)
    (slope,) = torch.autograd.grad(nn.MSELoss()(output, torch.ones(4)).sqrt(), output)
    assert slope.isnan().all()
    (slope,) = torch.autograd.grad(RMSELoss()(output, torch.ones(4)), output)
    assert not slope.any()


def test_msle_at_minus_one() -> None:
    output, target = torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 1.0])
    assert not nn.functional.mse_loss(output.log1p(), target.log1p()).isfinite()
    assert MSLELoss(floor=-0.5)(output, target).isfinite()


def test_bce_of_a_certain_and_wrong_prediction() -> None:
    logit = torch.tensor([30.0])
    assert nn.BCELoss()(logit.sigmoid(), torch.zeros(1)) == 100  # the clamp of torch's logarithm
    assert nn.BCEWithLogitsLoss()(logit, torch.zeros(1)) == pytest.approx(30)
