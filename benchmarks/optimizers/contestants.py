"""Ways to take the same optimizer step: ours, the class underneath, torch's other implementations, other libraries."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import timm
import torch
import torchvision
from torch import nn

from descent.commands.show.parts import optimizers
from foundation.factories import arguments_of, class_of
from lightning_modules.optimizers import TakenSteps, build_optimizer
from lightning_modules.schedulers import Cosine, RunLength, Warmup, build_schedule

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "vit_tiny": lambda: timm.create_model("vit_tiny_patch16_224", num_classes=10),
}
Step = Callable[[], Any]
PEERS = {"adamw": "AdamW", "lamb": "Lamb", "lion": "Lion"}  # names in pytorch-optimizer


def contestants(preset: str, network: Callable[[], nn.Module]) -> dict[str, Callable[[], Step]]:
    """Return a function per contestant that builds its step, ours first."""
    factory = optimizers()[preset]
    kind, given = class_of(factory), arguments_of(factory)
    is_fused = bool(build_optimizer(factory, network()).param_groups[0].get("fused"))
    fused = {"fused": True} if is_fused else {}
    classes = {"underneath": functools.partial(kind, **given | fused)}
    for how in ("foreach", "fused"):
        if how in given and not (how == "fused" and fused):
            classes[how] = functools.partial(kind, **given | {how: True})
    if fused:
        classes["one by one"] = functools.partial(kind, **given | {"fused": False, "foreach": False})
    if preset == "adamw":
        classes["timm"] = functools.partial(timm_class("AdamWLegacy"), lr=1e-3, weight_decay=0.01)
    if peer := peer_class(preset):
        classes["pytorch-optimizer"] = functools.partial(peer, lr=given["lr"])
    return {"ours": lambda: our_step(build_optimizer(factory, with_gradients(network())))} | {
        who: functools.partial(step_of, optimizer, network) for who, optimizer in classes.items()
    }


def peer_class(preset: str) -> Callable[..., Any] | None:
    """Return the class of pytorch-optimizer, if it is installed and has one."""
    try:
        package = importlib.import_module("pytorch_optimizer")
    except ImportError:
        return None
    if preset == "muon":  # the caller must tell which parameters are matrices
        return lambda parameters, lr: package.Muon(
            [
                {"params": [p for p in parameters if p.ndim >= 2], "use_muon": True},
                {"params": [p for p in parameters if p.ndim < 2], "use_muon": False},
            ],
            lr=lr,
        )
    found: Callable[..., Any] | None = getattr(package, PEERS.get(preset, ""), None)
    return found


def timm_class(name: str) -> Callable[..., Any]:
    """Return a class of timm by name."""
    found: Callable[..., Any] = getattr(importlib.import_module("timm.optim"), name)
    return found


def with_gradients(module: nn.Module) -> nn.Module:
    """Give every parameter of a module a random gradient."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator) * 1e-3
    return module


def our_step(optimizer: Any) -> Step:
    """Return the step of a run: optimizer, count of real steps, schedule."""
    steps = TakenSteps(optimizer)
    config = build_schedule(Warmup(Cosine(), fraction=0.05), optimizer, RunLength(100_000, 100, 1000))
    assert config is not None
    schedule = config["scheduler"]

    def step() -> None:
        optimizer.step()
        if steps.advanced():
            schedule.step()

    return step


def step_of(optimizer: Callable[..., Any], network: Callable[[], nn.Module]) -> Step:
    """Return the step of an optimizer class on new parameters."""
    step: Step = optimizer(list(with_gradients(network()).parameters())).step
    return step
