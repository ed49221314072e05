"""Optimizers reach the least-squares loss of a linear regression, and gradient descent obeys its theory."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.schedulers import Constant, Cosine, RunLength, ScheduleFactory, build_schedule
from tests.lightning_modules.optimizers.conformance import preset

STEPS = 200
TUNED_RATES = {  # the optimizers of the course's comparison
    "sgd": 0.1,
    "sgd_momentum": 0.03,
    "nesterov": 0.03,
    "adam": 0.1,
    "adamw": 0.1,
    "rmsprop": 0.01,
    "radam": 1.0,
}


@functools.cache
def data() -> tuple[Tensor, Tensor]:
    """1000 rows of 10 numbers, y = x·w + noise 0.1, with the random numbers of the course."""
    generator = torch.Generator().manual_seed(42)
    inputs = torch.randn(1000, 10, generator=generator)
    weights = torch.randn(10, 1, generator=generator)
    return inputs, inputs @ weights + 0.1 * torch.randn(1000, 1, generator=generator)


def validation_loss(network: nn.Module) -> float:
    inputs, targets = data()
    with torch.no_grad():
        return float(nn.functional.mse_loss(network(inputs[800:]), targets[800:]))


def trained(name: str, lr: float, scheduler: ScheduleFactory | None = None) -> tuple[float, float]:
    """Validation loss after 200 full-batch epochs, and the largest change of a weight."""
    torch.manual_seed(0)
    inputs, targets = data()
    network = nn.Linear(10, 1)
    before = network.weight.detach().clone()
    optimizer: Any = preset(name)(network.parameters())
    for group in optimizer.param_groups:
        group.update(lr=lr, weight_decay=1e-6)
    config = build_schedule(scheduler or Constant(), optimizer, RunLength(STEPS, STEPS, 1))
    assert config is not None
    if hasattr(optimizer, "train"):
        optimizer.train()
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.mse_loss(network(inputs[:800]), targets[:800]).backward()
        optimizer.step()
        config["scheduler"].step()
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    return validation_loss(network), float((network.weight - before).abs().max().detach())


def test_the_loss_of_least_squares() -> None:
    inputs, targets = data()
    rows = torch.cat([inputs, torch.ones(1000, 1)], dim=1)
    solution = torch.linalg.lstsq(rows[:800], targets[:800]).solution
    assert float((rows[800:] @ solution - targets[800:]).square().mean()) == pytest.approx(0.00892, abs=5e-6)


@pytest.mark.parametrize("name", TUNED_RATES)
def test_every_optimizer_with_a_tuned_rate_reaches_that_loss(name: str) -> None:
    loss, _ = trained(name, TUNED_RATES[name])
    assert 0.0089 <= loss <= 0.0092


@pytest.mark.parametrize("name", ["lamb", "lion", "nadam", "adafactor", "muon"])
def test_further_optimizers_reach_that_loss(name: str) -> None:
    """With a cosine: the steps of LAMB and Lion do not shrink with the gradient, so a constant rate oscillates."""
    loss, _ = trained(name, 0.1 if name != "nadam" else 0.3, Cosine())
    assert 0.0089 <= loss <= 0.0092


def test_schedule_free_reaches_that_loss_without_a_schedule() -> None:
    assert 0.0089 <= trained("schedule_free_adamw", 0.3)[0] <= 0.0092


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_a_ranking_at_one_common_rate_is_an_artefact(name: str) -> None:
    """At 0.001 Adam moves a weight by at most 0.001 per step, in 200 steps a fifth of the way to weights near 1.

    The steps of SGD with momentum are proportional to the gradient, and it has converged. This does not show that Adam
    is worse.
    """
    loss, distance = trained(name, 0.001)
    momentum, arrived = trained("sgd_momentum", 0.01)
    assert loss > 100 * momentum
    assert distance <= STEPS * 0.001 * 1.01
    assert arrived > 5 * distance


def quadratic(smoothness: float) -> tuple[Tensor, Tensor]:
    """H with eigenvalues from 0.01 to L, and a start."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(8, 8, generator=generator).double()).Q
    values = torch.logspace(-2, math.log10(smoothness), 8).double()
    return basis @ torch.diag(values) @ basis.T, torch.randn(8, generator=generator).double()


def descend(rate: float, smoothness: float, steps: int) -> list[float]:
    matrix, start = quadratic(smoothness)
    weights = start.clone().requires_grad_()
    optimizer = preset("sgd")([weights])
    optimizer.param_groups[0].update(lr=rate, weight_decay=0.0)
    losses = []
    for _ in range(steps + 1):
        loss = weights @ matrix @ weights / 2
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


@pytest.mark.parametrize("smoothness", [1.0, 7.0, 100.0])
def test_gradient_descent_at_one_over_l_stays_under_its_bound(smoothness: float) -> None:
    """f(x_T) - f* ≤ L ‖x₀ - x*‖² / 2T, for a gradient (not a loss) that is L-Lipschitz."""
    _, start = quadratic(smoothness)
    losses = descend(1 / smoothness, smoothness, 300)
    for step in range(1, 301):
        assert losses[step] <= smoothness * float(start.square().sum()) / (2 * step)
    assert sorted(losses, reverse=True) == losses


@pytest.mark.parametrize("smoothness", [1.0, 7.0, 100.0])
def test_above_two_over_l_it_diverges(smoothness: float) -> None:
    assert descend(2.05 / smoothness, smoothness, 300)[-1] > 1e6 * descend(2.05 / smoothness, smoothness, 1)[0]
    assert descend(1.95 / smoothness, smoothness, 300)[-1] < descend(1.95 / smoothness, smoothness, 1)[0]
