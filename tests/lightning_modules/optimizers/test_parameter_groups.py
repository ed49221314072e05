"""Every parameter is in exactly one group, with the configured learning rate and weight decay."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision
from lightning.pytorch import LightningModule
from timm.optim._param_groups import param_groups_weight_decay
from timm.optim.muon import Muon
from torch import nn

from foundation.errors import UserError
from lightning_modules.optimizers import ParameterGroups, build_optimizer
from lightning_modules.optimizers.network_layers import layer_of_parameters

ADAMW = functools.partial(torch.optim.AdamW, lr=0.1, weight_decay=0.05)


def resnet() -> nn.Module:
    return torchvision.models.resnet18(num_classes=10)  # type: ignore[no-any-return]


def vit() -> nn.Module:
    return timm.create_model("vit_tiny_patch16_224", num_classes=10)  # type: ignore[no-any-return]


def by_name(module: nn.Module, groups: ParameterGroups, option: str) -> dict[str, Any]:
    """Build, and return an option of each parameter's group."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    optimizer = build_optimizer(ADAMW, module, groups)
    return {names[id(p)]: group[option] for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("network", [resnet, vit])
@pytest.mark.parametrize(
    "groups",
    [
        ParameterGroups(),
        ParameterGroups(decay_bias_and_norm=True),
        ParameterGroups(layer_decay=0.7),
        ParameterGroups(decay_bias_and_norm=True, layer_decay=0.9, lr_factors={"*.weight": 0.5, "*": 2}),
    ],
)
def test_every_parameter_is_in_exactly_one_group(network: Callable[[], nn.Module], groups: ParameterGroups) -> None:
    module = network()
    split = groups.split(module)
    placed = [id(parameter) for group in split for parameter in group["params"]]
    assert sorted(placed) == sorted(id(parameter) for parameter in module.parameters())
    assert len({group["name"] for group in split}) == len(split)


def test_decayed_parameters_of_a_resnet() -> None:
    module = resnet()
    decays = by_name(module, ParameterGroups(), "weight_decay")
    matrices = {name for name, p in module.named_parameters() if p.ndim > 1}
    assert {name for name, decay in decays.items() if decay == 0.05} == matrices
    assert set(decays.values()) == {0.05, 0.0}
    assert set(by_name(module, ParameterGroups(decay_bias_and_norm=True), "weight_decay").values()) == {0.05}


def test_decayed_parameters_are_those_of_timm() -> None:
    module = vit()
    theirs = param_groups_weight_decay(module, 0.05, no_weight_decay_list=module.no_weight_decay())  # type: ignore[operator]
    spared = {id(parameter) for group in theirs if group["weight_decay"] == 0 for parameter in group["params"]}
    decays = by_name(module, ParameterGroups(), "weight_decay")
    assert {name for name, p in module.named_parameters() if id(p) in spared} == {n for n, d in decays.items() if not d}
    assert decays["pos_embed"] == 0.0  # three dimensions, but the network lists it


def test_a_normalisation_with_a_matrix_of_weights_is_not_decayed() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm([4, 4]))
    decays = by_name(module, ParameterGroups(), "weight_decay")
    assert decays == {"0.weight": 0.05, "0.bias": 0.0, "1.weight": 0.0, "1.bias": 0.0}


def test_layers_of_a_vit_are_its_blocks() -> None:
    layers = layer_of_parameters(vit())
    assert layers["cls_token"] == layers["patch_embed.proj.weight"] == 0
    assert [layers[f"blocks.{index}.mlp.fc1.weight"] for index in range(12)] == list(range(1, 13))
    assert layers["norm.weight"] == 12
    assert layers["head.weight"] == 13


def test_layer_decay_worked_by_hand() -> None:
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    rates = by_name(module, ParameterGroups(layer_decay=0.5), "lr")
    assert rates == pytest.approx({"0.weight": 0.025, "1.weight": 0.05, "2.weight": 0.1})


def test_layers_are_those_of_the_network_in_a_lightning_module() -> None:
    module = LightningModule()
    module.network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    module.loss = nn.Linear(1, 1, bias=False)
    rates = by_name(module, ParameterGroups(layer_decay=0.5), "lr")
    assert rates == pytest.approx({"network.0.weight": 0.05, "network.1.weight": 0.1, "loss.weight": 0.1})


def test_the_first_matching_pattern_sets_the_rate() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    rates = by_name(module, ParameterGroups(lr_factors={"1.bias": 0, "1.*": 10}), "lr")
    assert rates == pytest.approx({"0.weight": 0.1, "0.bias": 0.1, "1.weight": 1.0, "1.bias": 0.0})


def test_options_of_the_optimizer_by_pattern() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    betas = by_name(module, ParameterGroups(options={"1.*": {"betas": (0.5, 0.9)}}), "betas")
    assert betas == {name: (0.5, 0.9) if name[0] == "1" else (0.9, 0.999) for name in betas}


def test_the_last_layer_is_excluded_from_muon() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    groups = ParameterGroups(options={"1.*": {"use_fallback": True}})
    optimizer = build_optimizer(functools.partial(Muon, lr=0.02), module, groups)
    module(torch.ones(2, 8)).sum().backward()
    optimizer.step()
    first, last = (optimizer.state[layer.weight] for layer in module)  # type: ignore[index]
    assert "momentum_buffer" in first
    assert "exp_avg_sq" in last


def test_frozen_parameters_are_left_out() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[0].requires_grad_(False)
    assert set(by_name(module, ParameterGroups(), "lr")) == {"1.weight", "1.bias"}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ParameterGroups(layer_decay=0.0), r"layer_decay must be in \(0, 1\], got 0\.0\."),
        (lambda: ParameterGroups(layer_decay=1.5), r"layer_decay must be in \(0, 1\], got 1\.5\."),
        (lambda: ParameterGroups(lr_factors={"*": -1}), r"lr_factors: the factor of '\*' must be ≥ 0, got -1\."),
        (lambda: ParameterGroups(options={"*": {"lr": 1}}), r"options: '\*' cannot set lr; use lr_factors\."),
    ],
)
def test_a_wrong_argument_is_an_error(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("groups", [ParameterGroups(lr_factors={"head.*": 2}), ParameterGroups(options={"head.*": {}})])
def test_a_pattern_that_matches_nothing_is_an_error(groups: ParameterGroups) -> None:
    with pytest.raises(UserError, match=r"'head\.\*' matches no trainable parameter.*0\.weight, 0\.bias"):
        groups.split(nn.Sequential(nn.Linear(2, 2)))
