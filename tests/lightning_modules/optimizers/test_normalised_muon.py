"""Muon on weights of constant norm: the rule written out, torch's SGD for the rest, state and refusals."""

import copy
from typing import Any

import pytest
import torch
from timm.optim.muon import zeropower_via_newtonschulz
from torch import Tensor, nn

from lightning_modules.optimizers import NormalisedMuon, build_optimizer
from lightning_modules.optimizers.normalised_muon import COEFFICIENTS
from lightning_modules.optimizers.normalised_muon import orthogonalised as found
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from tests.phantom_gpu import device


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 4, 3),
        nn.Flatten(),
        nn.Linear(64, 5, bias=False),
    )


def gradients(model: nn.Module, step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(parameter.shape, generator=generator) for parameter in model.parameters()]


def orthogonalised(matrix: Tensor, steps: int) -> Tensor:
    """Newton and Schulz as the record's script has them, in bf16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    if len(matrix) > matrix.shape[1]:
        x = x.T
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if len(matrix) > matrix.shape[1] else x).float()


def test_it_follows_the_rule_written_out() -> None:
    ours, theirs = network(), network()
    optimizer = NormalisedMuon(ours.parameters(), lr=0.1, momentum=0.6, bias_lr=0.05, head_lr=0.5, weight_decay=0.01)
    banks = [parameter for parameter in theirs.parameters() if parameter.ndim == 4]
    others = [parameter for parameter in theirs.parameters() if parameter.ndim < 4]
    # torch's own SGD, to which the decay is a share of the weight at the rate's unit
    plain = torch.optim.SGD(
        [
            {"params": [p for p in others if p.ndim == 2], "lr": 0.5, "weight_decay": 0.01 / 0.5},
            {"params": [p for p in others if p.ndim == 1], "lr": 0.05, "weight_decay": 0.01 / 0.05},
        ],
        momentum=0.85,
        nesterov=True,
    )
    velocities = [torch.zeros_like(bank) for bank in banks]
    for step in range(4):
        for model in (ours, theirs):
            for parameter, gradient in zip(model.parameters(), gradients(model, step), strict=True):
                parameter.grad = gradient
        optimizer.step()
        plain.step()
        with torch.no_grad():
            for bank, velocity in zip(banks, velocities, strict=True):
                assert bank.grad is not None
                velocity.copy_(0.6 * velocity + bank.grad)
                update = orthogonalised((bank.grad + 0.6 * velocity).flatten(1), steps=3)
                bank.copy_(bank * len(bank) ** 0.5 / bank.norm() - 0.1 * update.view(bank.shape))
        for ours_, theirs_ in zip(ours.parameters(), theirs.parameters(), strict=True):
            tolerance = 5e-3 if ours_.ndim == 4 else 1e-6  # bf16, in another order
            torch.testing.assert_close(ours_, theirs_, rtol=tolerance, atol=tolerance)


def test_the_rate_is_the_share_by_which_filters_turn() -> None:
    model = nn.Conv2d(16, 16, 3, bias=False)
    optimizer = NormalisedMuon(model.parameters(), lr=0.1, ns_steps=5)
    for step in range(3):
        model.weight.grad = gradients(model, step)[0]
        before = model.weight.detach() * len(model.weight) ** 0.5 / model.weight.norm()
        optimizer.step()
        turned = float((model.weight - before).norm() / before.norm())  # type: ignore[operator]
        assert turned == pytest.approx(0.1, rel=0.3)  # singular values of the update lie about 1


def test_state_is_continued_and_missing_gradients_are_left_alone() -> None:
    one = network()
    optimizer = NormalisedMuon(one.parameters())
    for step in range(2):
        for parameter, gradient in zip(one.parameters(), gradients(one, step), strict=True):
            parameter.grad = 1e-3 * gradient
        one[1].bias.grad = None
        optimizer.step()
    norm = one[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert torch.equal(norm.bias, torch.zeros(8))
    two = copy.deepcopy(one)
    other = NormalisedMuon(two.parameters())
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for model, own in ((one, optimizer), (two, other)):
        for parameter, gradient in zip(model.parameters(), gradients(model, 7), strict=True):
            parameter.grad = 1e-3 * gradient
        own.step()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_groups_are_parted_by_kind() -> None:
    built = build_optimizer(NormalisedMuon, network(), ParameterGroups())
    assert {group["kind"] for group in built.param_groups} == {"filters", "matrices", "vectors"}
    assert sum(len(group["params"]) for group in built.param_groups) == len(list(network().parameters()))


@pytest.mark.parametrize("shapes", [[(4, 9), (9, 4), (4, 9), (4, 9)], [(5, 5)], [(2, 3), (2, 3)]])
def test_matrices_of_one_shape_together_are_those_of_each(shapes: list[tuple[int, int]]) -> None:
    generator = torch.Generator().manual_seed(1)
    matrices = [torch.randn(shape, generator=generator) for shape in shapes]
    alone, together = (found(matrices, 3, way) for way in (False, True))
    for one, other in zip(alone, together, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)  # bf16, summed in another order
    assert all(torch.equal(a, b) for a, b in zip(found(matrices, 3), alone, strict=True))  # on a CPU: one by one


def test_weights_of_earlier_versions() -> None:
    """On a CPU the weights are those of version 0.5, bit for bit: its runs must resume exactly."""
    torch.manual_seed(0)
    banks = [nn.Conv2d(3, 4, 3), *(nn.Conv2d(4, 4, 3) for _ in range(3))]
    model, expected = nn.Sequential(*banks), nn.Sequential(*copy.deepcopy(banks))
    optimizer = NormalisedMuon(model.parameters())
    velocities = {weight: torch.zeros_like(weight) for weight in expected.parameters()}
    for step in range(3):
        for each in (model, expected):
            for parameter, gradient in zip(each.parameters(), gradients(each, step), strict=True):
                parameter.grad = gradient
        optimizer.step()
        with torch.no_grad():
            for weight, velocity in velocities.items():
                if weight.ndim == 4 and weight.grad is not None:
                    velocity.mul_(0.6).add_(weight.grad)
                    ahead = weight.grad.add(velocity, alpha=0.6).flatten(1)
                    update = zeropower_via_newtonschulz(ahead, 3, COEFFICIENTS)
                    weight.mul_(len(weight) ** 0.5 / weight.norm())
                    weight.add_(update.view(weight.shape), alpha=-0.24)
    for bank, other in zip(model, expected, strict=True):
        assert torch.equal(bank.weight, other.weight)  # type: ignore[arg-type]


@pytest.mark.phantom_gpu
def test_launches_of_a_step() -> None:
    """Twelve filter banks of one shape cost as many launches as two, beside those of the weights themselves."""
    asked = []
    for count in (2, 12):
        model = nn.Sequential(*(nn.Conv2d(8, 8, 3) for _ in range(count))).cuda()
        optimizer = NormalisedMuon(model.parameters())
        for _ in range(2):
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            before = device.counts()
            optimizer.step()
            after = device.counts()
        asked.append(sum(after[kind] - before[kind] for kind in ("launch", "library", "d2d")))
        assert all(after[kind] == before[kind] for kind in (*device.SYNCS, *device.COPIES))
    few, many = asked
    assert 0 < few <= 60
    assert many - few <= 3 * 10


def test_a_closure_is_called_with_gradients_on() -> None:
    model = nn.Linear(2, 1)
    optimizer = NormalisedMuon(model.parameters(), bias_lr=0.1, head_lr=0.1)

    def closure() -> Any:
        loss = model(torch.ones(1, 2)).square().sum()
        loss.backward()
        return loss

    before = float(optimizer.step(closure))  # type: ignore[arg-type]
    assert float(closure()) < before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": 0.0}, "lr must be > 0, got 0"),
        ({"head_lr": -1.0}, "head_lr must be > 0, got -1"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"sgd_momentum": 0.0}, r"sgd_momentum in \(0, 1\), got 0.6 and 0"),
        ({"weight_decay": -1.0}, "weight_decay must be ≥ 0"),
        ({"ns_steps": 0}, "ns_steps ≥ 1, got 0.004 and 0"),
    ],
)
def test_bad_arguments(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NormalisedMuon(network().parameters(), **given)


def test_filters_of_zero_get_the_update() -> None:
    weight = nn.Parameter(torch.zeros(32, 2, 3, 3))
    optimizer = NormalisedMuon([weight], lr=0.1)
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    assert weight.isfinite().all()
    assert 0 < weight.detach().norm() < 1
    weight.data.zero_()
    weight.grad.zero_()
    optimizer.state.clear()
    optimizer.step()
    assert not weight.any()
