"""RMSE and MSLE, and the difference between Huber and smooth L1."""

import math

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.functional import mean_squared_error, mean_squared_log_error

from lightning_modules.losses import MSLELoss, RMSELoss, msle, rmse


def test_rmse_by_hand_and_by_torchmetrics() -> None:
    assert rmse(torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0])) == pytest.approx(math.sqrt(12.5))
    output, target = torch.randn(50, 3), torch.randn(50, 3)
    expected = mean_squared_error(output.flatten(), target.flatten(), squared=False)
    torch.testing.assert_close(rmse(output, target), expected)


def test_rmse_has_a_gradient_where_the_square_root_has_none() -> None:
    target = torch.arange(4.0)
    output = target.clone().requires_grad_()
    (slope,) = torch.autograd.grad(nn.functional.mse_loss(output, target).sqrt(), output)
    assert slope.isnan().all()
    (slope,) = torch.autograd.grad(rmse(output, target), output)
    assert torch.equal(slope, torch.zeros(4))


@pytest.mark.parametrize("error", [1e-15, 1e-5, 1.0, 1e5])
def test_rmse_gradient_has_the_same_length_however_small_the_error(error: float) -> None:
    output = torch.full((25,), error, requires_grad=True)
    (slope,) = torch.autograd.grad(rmse(output, torch.zeros(25)), output)
    assert slope.norm().item() == pytest.approx(1 / 5, rel=1e-5)


def test_rmse_reductions_are_by_sample() -> None:
    output, target = torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.zeros(2, 2)
    by_sample = torch.tensor([math.sqrt(12.5), math.sqrt(0.5)])
    torch.testing.assert_close(rmse(output, target, "none"), by_sample)
    torch.testing.assert_close(rmse(output, target, "sum"), by_sample.sum())
    torch.testing.assert_close(rmse(output[:, 0], target[:, 0], "none"), torch.tensor([3.0, 0.0]))
    assert rmse(output, target, "mean") == pytest.approx(math.sqrt(26 / 4))


def test_msle_by_hand_and_by_torchmetrics() -> None:
    assert msle(torch.tensor([math.e - 1]), torch.tensor([0.0])) == pytest.approx(1.0)
    output, target = torch.rand(50) * 100, torch.rand(50) * 100
    torch.testing.assert_close(msle(output, target), mean_squared_log_error(output, target))


def test_msle_floor_changes_nothing_above_it_and_is_smooth_at_it() -> None:
    output = torch.linspace(-0.5, 5, 50)
    target = torch.rand(50)
    torch.testing.assert_close(msle(output, target, floor=-0.5), msle(output, target))
    at = torch.tensor([-0.5 - 1e-4, -0.5 + 1e-4], requires_grad=True)
    (slope,) = torch.autograd.grad(msle(at, torch.zeros(2), floor=-0.5, reduction="sum"), at)
    torch.testing.assert_close(slope[0], slope[1], rtol=1e-3, atol=0)


def test_msle_floor_has_a_gradient_that_pulls_back() -> None:
    output = torch.tensor([-1.0, -50.0], requires_grad=True)
    (slope,) = torch.autograd.grad(msle(output, torch.ones(2), floor=-0.5), output)
    assert (slope < 0).all()


@pytest.mark.parametrize("bad", [-1.0, -3.0, float("nan")])
def test_msle_without_a_floor_raises_outside_its_domain(bad: float) -> None:
    with pytest.raises(ValueError, match=rf"above -1 only: output must be finite.*got {bad:g}.*softplus.*floor"):
        msle(torch.tensor([2.0, bad]), torch.ones(2))


def test_msle_targets_have_no_floor() -> None:
    with pytest.raises(ValueError, match=r"target must be finite and in .*got -1"):
        msle(torch.ones(2), torch.tensor([0.0, -1.0]), floor=-0.5)


@pytest.mark.parametrize("floor", [-1.0, 0.1, float("nan")])
def test_msle_floor_outside_its_range(floor: float) -> None:
    with pytest.raises(ValueError, match="floor must be above -1 and at most 0, got"):
        MSLELoss(floor=floor)


@pytest.mark.parametrize("kind", [RMSELoss, MSLELoss])
def test_unknown_reduction(kind: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match="reduction must be one of mean, sum, none; got 'average'"):
        kind(reduction="average")


@pytest.mark.parametrize("loss", [rmse, msle])
def test_shapes_that_would_broadcast_raise(loss: object) -> None:
    assert callable(loss)
    message = r"same shape, got output \(4, 1\) and target \(4,\)\. Reshape one of them, e\.g\. output\.squeeze\(1\)"
    with pytest.raises(ValueError, match=message):
        loss(torch.ones(4, 1), torch.ones(4))


@pytest.mark.parametrize("delta", [0.25, 1.0, 3.0])
def test_huber_over_delta_is_smooth_l1(delta: float) -> None:
    output, target = torch.randn(100) * 4, torch.randn(100)
    huber: Tensor = nn.HuberLoss(delta=delta)(output, target)
    torch.testing.assert_close(huber / delta, nn.SmoothL1Loss(beta=delta)(output, target))
