"""Adversarial losses: against torch's losses, by hand, and the direction of their gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from lightning_modules.losses import AdversarialLoss, HingeAdversarialLoss, LeastSquaresLoss, NonSaturatingLoss

REAL, FAKE = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([[0.3], [-4.0]])


def test_non_saturating_is_cross_entropy() -> None:
    one, zero = torch.ones(3), torch.zeros(2, 1)
    for label in (1.0, 0.9):
        expected = F.binary_cross_entropy_with_logits(REAL, one * label)
        expected = expected + F.binary_cross_entropy_with_logits(FAKE, zero)
        torch.testing.assert_close(NonSaturatingLoss(label).discriminator(REAL, FAKE), expected)
    torch.testing.assert_close(
        NonSaturatingLoss().generator(FAKE), F.binary_cross_entropy_with_logits(FAKE, torch.ones(2, 1))
    )


def test_least_squares_is_half_the_squared_error() -> None:
    expected = (F.mse_loss(REAL, torch.ones(3)) + F.mse_loss(FAKE, torch.zeros(2, 1))) / 2
    torch.testing.assert_close(LeastSquaresLoss().discriminator(REAL, FAKE), expected)
    torch.testing.assert_close(LeastSquaresLoss().generator(FAKE), F.mse_loss(FAKE, torch.ones(2, 1)) / 2)


def test_hinge_by_hand() -> None:
    # real: 0, 2, 0.5; fake: 1.3, 0
    assert HingeAdversarialLoss().discriminator(REAL, FAKE) == pytest.approx(2.5 / 3 + 1.3 / 2)
    assert HingeAdversarialLoss().generator(FAKE) == pytest.approx(3.7 / 2)


@pytest.mark.parametrize("pair", [NonSaturatingLoss(), LeastSquaresLoss(), HingeAdversarialLoss()])
def test_generator_pulls_fakes_up_and_discriminator_down(pair: AdversarialLoss) -> None:
    fake = torch.tensor([-5.0, 0.5], requires_grad=True)
    real = torch.tensor([-5.0, 0.5], requires_grad=True)
    (up,) = torch.autograd.grad(pair.generator(fake), fake)
    assert (up < -0.1).all()  # bad fakes keep their gradient: that is what non-saturating means
    down, raised = torch.autograd.grad(pair.discriminator(real, fake), (fake, real))
    assert (raised < -0.1).all()
    assert down[1] > 0.1


@pytest.mark.parametrize("pair", [NonSaturatingLoss(), LeastSquaresLoss(), HingeAdversarialLoss()])
def test_mixed_batches(pair: AdversarialLoss) -> None:
    logits = torch.cat([REAL, FAKE[:, 0]])[[0, 3, 1, 4, 2]]
    is_real = torch.tensor([1, 0, 1, 0, 1])
    torch.testing.assert_close(pair(logits, is_real), pair.discriminator(REAL, FAKE))


def test_loss_of_an_undecided_discriminator() -> None:
    undecided = torch.zeros(5)
    assert NonSaturatingLoss().discriminator(undecided, undecided) == pytest.approx(2 * math.log(2))
    half = torch.full((5,), 0.5)
    assert LeastSquaresLoss().discriminator(half, half) == pytest.approx(0.25)


def test_real_label_outside_its_range() -> None:
    with pytest.raises(ValueError, match=r"real_label must be in \[0\.5, 1\], got 0\.4"):
        NonSaturatingLoss(0.4)
