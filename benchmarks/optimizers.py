"""How long an optimizer step takes: ours against the library underneath, torch's other implementations and the peers.

    python -m benchmarks.optimizers [--rounds 15] [--networks resnet18 vit_tiny] [--out optimizers.csv]

On the parameters of ResNet-18 and of a ViT-tiny with random gradients; same tensors, one process, one thread, CPU time
that the process was given (others may be at work). Within a round the contestants take turns in an order of its own.
`ours` is what a run does at each step: the optimizer as `build_optimizer` makes it, the count of real steps, and a
warm-up + cosine. `underneath` is the same class with the same implementation and nothing else. The ratio is the
geometric mean over the rounds of ours / theirs with its 95 % interval: below 1 we are faster. The interval covers the
rounds, not where a contestant's tensors happen to lie: two equal ones differed by up to 2 %. pytorch-optimizer is left
out where it is not installed.
"""

import argparse
import csv
import functools
import importlib
import logging
import math
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
import torchvision
from scipy import stats
from torch import nn

from commands.preset_parts import optimizers
from lightning_modules.injected import arguments_of, class_of
from lightning_modules.optimizers import RealSteps, build_optimizer
from lightning_modules.schedulers import Cosine, Horizon, Warmup, build_schedule

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "vit_tiny": lambda: timm.create_model("vit_tiny_patch16_224", num_classes=10),
}
PRESETS = ("sgd_momentum", "adamw", "rmsprop", "lamb", "lion", "muon")
PEERS = {"adamw": "AdamW", "lamb": "Lamb", "lion": "Lion", "muon": "Muon"}  # names in pytorch-optimizer
Step = Callable[[], Any]


class Row(NamedTuple):
    """What a contestant needed, and the ratio of ours to it."""

    network: str
    preset: str
    who: str
    milliseconds: float
    ratio: float
    low: float
    high: float


def contestants(preset: str, network: Callable[[], nn.Module]) -> dict[str, Step]:
    """Ways to take the same step, ours first."""
    factory = optimizers()[preset]
    kind, given = class_of(factory), arguments_of(factory)
    module = with_gradients(network())
    built = build_optimizer(factory, module)
    fused = {"fused": True} if built.param_groups[0].get("fused") else {}
    steps = {"ours": our_step(built), "underneath": step_of(functools.partial(kind, **given | fused), network)}
    for how in ("foreach", "fused"):
        if how in given and not (how == "fused" and fused):
            steps[how] = step_of(functools.partial(kind, **given | {how: True}), network)
    if fused:
        steps["one by one"] = step_of(functools.partial(kind, **given | {"fused": False, "foreach": False}), network)
    if preset == "adamw":
        steps["timm"] = step_of(functools.partial(timm_class("AdamWLegacy"), lr=1e-3, weight_decay=0.01), network)
    try:
        peer = getattr(importlib.import_module("pytorch_optimizer"), PEERS.get(preset, ""), None)
    except ImportError:
        peer = None
    if peer is not None:
        steps["pytorch-optimizer"] = step_of(functools.partial(peer, lr=given["lr"]), network)
    return steps


def timm_class(name: str) -> Callable[..., Any]:
    """A class of timm's by name."""
    found: Callable[..., Any] = getattr(importlib.import_module("timm.optim"), name)
    return found


def with_gradients(module: nn.Module) -> nn.Module:
    """The module, every parameter with a gradient."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator) * 1e-3
    return module


def our_step(optimizer: Any) -> Step:
    """What the base module does at a step."""
    steps = RealSteps(optimizer)
    config = build_schedule(Warmup(Cosine(), fraction=0.05), optimizer, Horizon(100_000, 100, 1000))
    assert config is not None
    schedule = config["scheduler"]

    def step() -> None:
        optimizer.step()
        if steps.advanced():
            schedule.step()

    return step


def step_of(optimizer: Callable[..., Any], network: Callable[[], nn.Module]) -> Step:
    """The bare step of a contestant on parameters of its own."""
    step: Step = optimizer(list(with_gradients(network()).parameters())).step
    return step


def race(network: str, preset: str, rounds: int) -> list[Row]:
    """Time every contestant in turns."""
    steps = contestants(preset, NETWORKS[network])
    seconds: dict[str, list[float]] = {who: [] for who in steps}
    for step in steps.values():
        step()
    shuffle = random.Random(0)
    for _ in range(rounds):
        for who in shuffle.sample(list(steps), len(steps)):
            start = time.process_time()
            steps[who]()
            seconds[who].append(time.process_time() - start)
    ours = seconds["ours"]
    return [Row(network, preset, who, statistics.median(s) * 1e3, *ratio(ours, s)) for who, s in seconds.items()]


def ratio(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Geometric mean of the paired ratios and its 95 % interval."""
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    middle, spread = statistics.mean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * spread
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def main(args: list[str] | None = None) -> None:
    """Race, print, and write a table if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizers")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(args)
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    print(f"torch {torch.__version__}, timm {timm.__version__}, {platform.machine()}, 1 thread, {given.rounds} rounds")
    rows = []
    for network in given.networks:
        for preset in given.presets:
            for row in race(network, preset, given.rounds):
                rows.append(row)
                interval = f"{row.ratio:.3f} [{row.low:.3f}, {row.high:.3f}]" if row.who != "ours" else ""
                print(
                    f"{row.network:9} {row.preset:13} {row.who:18} {row.milliseconds:8.2f} ms  {interval}", flush=True
                )
    if given.out:
        with given.out.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([Row._fields, *rows])


if __name__ == "__main__":
    main()
