"""Our Adafactor against torch's: the same weights and state; the paper is in `conformance.py`."""

from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules.optimizers import Adafactor
from tests.phantom_gpu import device

GROUPS: list[dict[str, Any]] = [{"lr": 0.05, "weight_decay": 0.1, "eps": (1e-8, 0.5), "d": 2.0}, {"beta2_decay": -0.5}]


def trained(kind: Any, dtype: torch.dtype, where: str = "cpu") -> tuple[list[torch.Tensor], dict[str, Any]]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(48, 5)).to(where, dtype)
    groups = [{"params": list(part.parameters()), **group} for part, group in zip(network[::2], GROUPS, strict=True)]
    optimizer, images = kind(groups), torch.randn(7, 2, 6, 6).to(where, dtype)
    for _ in range(6):
        optimizer.zero_grad()
        network(images).square().mean().backward()
        optimizer.step()
    return [weight.detach().cpu() for weight in network.parameters()], optimizer.state_dict()


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_torch_s_adafactor_makes_the_same_steps(dtype: torch.dtype, near: float) -> None:
    (ours, mine), (theirs, its) = (trained(kind, dtype) for kind in (Adafactor, torch.optim.Adafactor))
    torch.testing.assert_close(ours, theirs, rtol=near, atol=near)
    assert mine["state"].keys() == its["state"].keys()
    for number, state in its["state"].items():
        assert mine["state"][number].keys() == {name for name, value in state.items() if value is not None}
        for name, value in mine["state"][number].items():
            torch.testing.assert_close(value, state[name], rtol=near, atol=near)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lr": -1.0}, "lr must be ≥ 0, got -1.0."),
        ({"eps": (-1.0, 1e-3)}, r"eps\[0\] must be ≥ 0, got -1.0."),
        ({"eps": (None, float("nan"))}, r"eps\[1\] must be ≥ 0, got nan."),
        ({"beta2_decay": 0.8}, "beta2_decay must be ≤ 0, got 0.8."),
        ({"d": 0.5}, "d must be ≥ 1, got 0.5."),
        ({"weight_decay": -0.1}, "weight_decay must be ≥ 0, got -0.1."),
    ],
)
def test_an_argument_outside_its_range(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Adafactor([nn.Parameter(torch.ones(2))], **wrong)


@pytest.mark.phantom_gpu(values=True)
def test_no_step_waits_for_a_gpu() -> None:
    trained(Adafactor, torch.float32, "cuda")
    weight = nn.Parameter(torch.ones(3, 4, device="cuda"))
    weight.grad = torch.ones_like(weight)
    optimizer = Adafactor([weight])
    optimizer.step()
    before = device.counts()
    optimizer.step()
    after = device.counts()
    assert not [kind for kind in (*device.SYNCS, *device.COPIES) if after[kind] != before[kind]]
