"""Clipping equals torch's bit by bit; the norm is compared with float64."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from lightning_modules.optimizers.clipping import clip_gradients_once, optimized_parameters


def parameters_with_gradients() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((5, 3), (7,), (2, 2, 2))]
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    parameters.append(nn.Parameter(torch.zeros(3)))  # has no gradient
    return parameters


@pytest.mark.parametrize("clip_val", [0.1, 3.0, 1e9])
@pytest.mark.parametrize("algorithm", ["norm", "value", None])
def test_clips_as_torch_does(clip_val: float, algorithm: str | None) -> None:
    ours, theirs = parameters_with_gradients(), parameters_with_gradients()
    norm = clip_gradients_once(ours, clip_val, algorithm).true
    if algorithm == "value":
        clip_grad_value_(theirs, clip_val)
    else:
        assert torch.equal(norm, clip_grad_norm_(theirs, clip_val))
    assert all(
        torch.equal(a.grad, b.grad)
        for a, b in zip(ours[:3], theirs[:3], strict=True)
        if a.grad is not None and b.grad is not None
    )


@pytest.mark.parametrize("clip_val", [None, 0.0])
def test_returns_the_norm_without_clipping(clip_val: float | None) -> None:
    parameters = parameters_with_gradients()
    before = [parameter.grad.clone() for parameter in parameters[:3] if parameter.grad is not None]
    norm = clip_gradients_once(parameters, clip_val, None).true
    exact = torch.cat([gradient.flatten().double() for gradient in before]).norm()
    torch.testing.assert_close(norm.double(), exact, rtol=1e-6, atol=0)
    assert all(torch.equal(a, b.grad) for a, b in zip(before, parameters, strict=False) if b.grad is not None)


def test_every_group_counts() -> None:
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(2))
    groups: list[dict[str, Any]] = [{"params": [first]}, {"params": [second], "lr": 0.1}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    assert optimized_parameters(optimizer) == [first, second]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_large_tensors(layout: torch.memory_format) -> None:
    """The norm is exact to 1e-6, unlike torch's; the gradients are clipped as by torch, bit by bit."""
    ours, theirs = (nn.Parameter(torch.zeros(1200, 90, 3, 3).to(memory_format=layout)) for _ in range(2))
    gradient = torch.randn(ours.shape, generator=torch.Generator().manual_seed(2)).to(memory_format=layout)
    ours.grad, theirs.grad = gradient.clone(), gradient.clone()
    norms = clip_gradients_once([ours], 1.0, "norm")
    torchs = clip_grad_norm_([theirs], 1.0)
    exact = gradient.double().norm()
    assert abs(float(torchs / exact) - 1) > 3e-6
    torch.testing.assert_close(norms.true.double(), exact, rtol=1e-6, atol=0)
    assert torch.equal(norms.divisor, torchs)
    assert torch.equal(ours.grad, theirs.grad)
