"""Building the optimizer of a run: errors, parameter groups, implementation and the printed table."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schedulefree
import torch
from lightning.pytorch.plugins import MixedPrecision
from timm.optim.lion import Lion
from timm.optim.muon import Muon
from torch import nn

from foundation.errors import UserError
from lightning_modules.optimizers import ParameterGroups, build_optimizer, check_hyperparameters
from lightning_modules.optimizers.group_table import group_table
from tests.lightning_modules.schedulers.support import Scheduled, fit

partial = functools.partial


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (partial(torch.optim.SGD, lr=-0.1), r"SGD: lr must be ≥ 0, got -0\.1\."),
        (partial(torch.optim.SGD, lr=float("nan")), r"SGD: lr must be finite and ≥ 0, got nan\."),
        (partial(torch.optim.SGD, lr=0.1, momentum=1.0), r"SGD: momentum must be in \[0, 1\), got 1\.0\."),
        (partial(torch.optim.AdamW, betas=(0.9, 1.0)), r"AdamW: betas must be in \[0, 1\), got \(0\.9, 1\.0\)\."),
        (partial(torch.optim.AdamW, weight_decay=-1), r"AdamW: weight_decay must be ≥ 0, got -1\."),
        (partial(torch.optim.RMSprop, alpha=1.5), r"RMSprop: alpha must be in \[0, 1\), got 1\.5\."),
        (partial(Lion, betas=(1.5, 0.9)), r"Lion: betas must be in \[0, 1\), got \(1\.5, 0\.9\)\."),
        (partial(schedulefree.AdamWScheduleFree, lr=-1.0), r"AdamWScheduleFree: lr must be ≥ 0, got -1\.0\."),
    ],
)
def test_a_wrong_number_is_an_error_before_there_are_parameters(optimizer: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_hyperparameters(optimizer)


def test_an_optimizer_instance_is_an_error() -> None:
    built: Any = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    with pytest.raises(ValueError, match=r"must be an optimizer class without its parameters.*got SGD\."):
        check_hyperparameters(built)


def test_no_trainable_parameters_is_an_error() -> None:
    frozen = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(UserError, match=r"Linear has no trainable parameters: unfreeze some"):
        build_optimizer(partial(torch.optim.SGD, lr=0.1), frozen)


def test_an_error_of_the_optimizer_itself_is_one_line() -> None:
    with pytest.raises(UserError, match=r"SGD: Nesterov momentum requires a momentum"):
        build_optimizer(partial(torch.optim.SGD, lr=0.1, nesterov=True), nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (partial(torch.optim.SGD, lr=0.1), "SGD (fused): 2 tensors, 6 parameters, lr 0.1, weight decay 0"),
        (partial(torch.optim.SGD, lr=0.1, fused=None, foreach=None), "SGD (fused)"),
        (partial(torch.optim.SGD, lr=0.1, fused=False), "SGD (one tensor at a time)"),
        (partial(torch.optim.AdamW, foreach=True), "AdamW (foreach)"),
        (partial(torch.optim.AdamW, foreach=False), "AdamW (one tensor at a time)"),
        (partial(torch.optim.RMSprop, lr=0.1), "RMSprop (one tensor at a time)"),
        (partial(schedulefree.AdamWScheduleFree, lr=0.1), "AdamWScheduleFree (foreach)"),
        (partial(Muon, lr=0.1), "Muon (its own loop)"),
    ],
)
def test_the_implementation_is_chosen_and_printed(
    optimizer: Callable[..., Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "lightning.pytorch.utilities.rank_zero"):
        build_optimizer(optimizer, nn.Linear(2, 2))
    assert said in caplog.text


def test_complex_parameters_are_not_fused() -> None:
    module = nn.Module()
    module.weight = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    optimizer = build_optimizer(partial(torch.optim.SGD, lr=0.1), module)
    assert not optimizer.param_groups[0]["fused"]


def test_the_groups_are_printed_as_a_table(caplog: pytest.LogCaptureFixture) -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    with caplog.at_level(logging.INFO, "lightning.pytorch.utilities.rank_zero"):
        build_optimizer(partial(torch.optim.AdamW, lr=1e-3), network, ParameterGroups(lr_factors={"2.*": 10}))
    assert caplog.messages[0].splitlines() == [
        "AdamW (fused):",
        "  group              tensors  parameters     lr  weight decay",
        "  decay                    1          32  0.001          0.01",
        "  no decay                 3          24  0.001             0",
        "  decay, lr × 10           1          16   0.01          0.01",
        "  no decay, lr × 10        1           2   0.01             0",
    ]


class Fused(Scheduled):
    """The same regression with an optimizer built as in a run."""

    def configure_optimizers(self) -> Any:
        return build_optimizer(partial(torch.optim.AdamW, lr=0.1), self)


@pytest.mark.parametrize("algorithm", ["norm", "value"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_fused_works_with_clipping_and_mixed_precision(precision: str, algorithm: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"precision": precision}
    if precision == "16-mixed":
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
        options = {"plugins": [MixedPrecision("16-mixed", device="cpu", scaler=scaler)]}
    module = Fused(None)
    before = module.net.weight.detach().clone()
    clip: dict[str, Any] = {"gradient_clip_val": 0.5, "gradient_clip_algorithm": algorithm}
    trainer = fit(module, tmp_path, **options, **clip)
    assert trainer.optimizers[0].param_groups[0]["fused"]
    assert not torch.equal(module.net.weight, before)
    assert torch.isfinite(module.net.weight).all()


def test_a_fused_step_with_a_scaler_equals_one_without() -> None:
    results = []
    for fused in (True, False):
        torch.manual_seed(0)
        network = nn.Linear(4, 2)
        optimizer = build_optimizer(partial(torch.optim.AdamW, lr=0.1, fused=None if fused else False), network)
        assert bool(optimizer.param_groups[0]["fused"]) == fused
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
        for step in range(5):
            scaler.scale(network(torch.ones(3, 4)).square().sum() * (float("inf") if step == 2 else 1)).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
        results.append(network.weight.detach())
    torch.testing.assert_close(results[0], results[1])


def test_a_table_of_many_groups_shows_the_first_and_the_last() -> None:
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": 0.1 * n, "name": f"g{n}"} for n in range(1, 33)]
    lines = group_table(torch.optim.SGD(groups)).splitlines()
    assert [line.split()[0] for line in lines] == ["SGD", "group", "g1", "g2", "g3", "…", "g30", "g31", "g32"]
    assert lines[5] == "  … 26 groups between these"
    assert len(group_table(torch.optim.SGD(groups[:8])).splitlines()) == 10
