"""Contract of every optimizer preset: follow the paper, converge, resume, accept missing gradients."""

from __future__ import annotations

import copy
import functools
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules.optimizers import build_optimizer
from tests.lightning_modules.optimizers.conformance import (
    BEGIN,
    CASES,
    DOCS,
    END,
    PRESETS,
    Case,
    deviation,
    preset,
    table,
)

every_optimizer = pytest.mark.parametrize("name", CASES)


def test_every_preset_has_a_paper() -> None:
    assert {path.stem for path in PRESETS.glob("*.yaml")} == set(CASES), "add it to tests/.../optimizers/conformance.py"


@every_optimizer
def test_follows_its_paper(name: str) -> None:
    case, optimizer = CASES[name], preset(name)
    assert deviation(case.update, optimizer, optimizer, torch.float64) < case.float64
    assert deviation(case.update, optimizer, optimizer, torch.float32) < case.float32


@every_optimizer
def test_a_wrong_variant_is_detected(name: str) -> None:
    case = CASES[name]
    assert deviation(case.update, preset(name), case.wrong, torch.float64) > 10 * case.float64


@pytest.mark.parametrize("name", ["sgd", "sgd_momentum", "nesterov", "adam", "adamw"])
@pytest.mark.parametrize("how", [{"foreach": True}, {"fused": False}])
def test_the_other_implementations_follow_the_paper_too(name: str, how: dict[str, bool]) -> None:
    case, optimizer = CASES[name], preset(name)
    assert deviation(case.update, optimizer, functools.partial(optimizer, **how), torch.float64) < case.float64


def test_the_docs_hold_the_current_table() -> None:
    held = DOCS.read_text().partition(BEGIN)[2].partition(END)[0].strip()
    assert held == table(), "run python -m tests.lightning_modules.optimizers.conformance"


class Regression:
    """Linear regression with a matrix of weights, so that Muon and Adafactor have one."""

    def __init__(self, name: str) -> None:
        torch.manual_seed(0)
        self.network = nn.Linear(8, 8)
        self.inputs = torch.randn(64, 8)
        self.targets = self.inputs @ torch.randn(8, 8) * 0.3
        self.optimizer = build_optimizer(preset(name), self.network)
        if hasattr(self.optimizer, "train"):
            self.optimizer.train()

    def loss(self) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(self.network(self.inputs), self.targets)
        loss.backward()
        return loss

    def step(self) -> float:
        loss = self.loss()
        self.optimizer.step()
        return float(loss.detach())


@every_optimizer
def test_minimizes_the_loss(name: str) -> None:
    run = Regression(name)
    for group in run.optimizer.param_groups:
        group["lr"] = 0.05 if "sgd" in name or name == "nesterov" else 0.005
    losses = [run.step() for _ in range(600)]
    assert losses[-1] < 0.1 * losses[0]


@every_optimizer
def test_a_saved_and_restored_optimizer_continues_identically(name: str) -> None:
    run = Regression(name)
    for _ in range(5):
        run.step()
    file = io.BytesIO()
    torch.save({"weights": run.network.state_dict(), "optimizer": run.optimizer.state_dict()}, file)
    file.seek(0)
    saved, again = torch.load(file, weights_only=True), Regression(name)
    again.network.load_state_dict(saved["weights"])
    again.optimizer.load_state_dict(saved["optimizer"])
    for _ in range(5):
        assert run.step() == again.step()
    for ours, theirs in zip(run.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@every_optimizer
def test_a_closure_gives_the_same_step_and_its_loss(name: str) -> None:
    plain, closed = Regression(name), Regression(name)
    expected = plain.step()
    assert closed.optimizer.step(lambda: float(closed.loss().detach())) == expected
    assert torch.equal(plain.network.weight, closed.network.weight)


@every_optimizer
def test_a_parameter_without_a_gradient_does_not_change(name: str) -> None:
    run = Regression(name)
    before = run.network.bias.detach().clone()
    run.loss()
    run.network.bias.grad = None
    run.optimizer.step()
    assert torch.equal(run.network.bias, before)


@every_optimizer
def test_a_step_without_any_gradient_changes_nothing(name: str) -> None:
    run = Regression(name)
    before = copy.deepcopy(run.network.state_dict())
    run.optimizer.zero_grad()
    run.optimizer.step()
    assert all(torch.equal(before[key], value) for key, value in run.network.state_dict().items())


@every_optimizer
def test_a_learning_rate_of_zero_changes_nothing(name: str) -> None:
    run = Regression(name)
    for group in run.optimizer.param_groups:
        group["lr"] = 0.0
    before = copy.deepcopy(run.network.state_dict())
    run.step()
    assert all(torch.equal(before[key], value) for key, value in run.network.state_dict().items())


def test_a_case_for_a_new_optimizer_can_be_checked() -> None:
    backwards: Callable[..., Any] = functools.partial(torch.optim.SGD, lr=0.1, maximize=True)
    case: Case = CASES["sgd"]
    assert deviation(case.update, preset("sgd"), backwards, torch.float64) > case.float64
