"""How long an optimizer step takes: ours against the library underneath, torch's other implementations and the peers.

    python -m benchmarks.optimizers [--layouts 12] [--rounds 5] [--networks resnet18 vit_tiny] [--out FOLDER]

On the parameters of ResNet-18 and of a ViT-tiny with random gradients; same values, one process, one thread, CPU time
that the process was given (others may be at work). Where the tensors lie in memory makes two equal contestants differ
by up to 3 %, so all are built anew, in another order, for each of several layouts; within one they take turns for some
rounds. `ours` is what a run does at each step: the optimizer as `build_optimizer` makes it, the count of real steps,
and a warm-up + cosine. `underneath` is the same class with the same implementation and nothing else. The ratio is the
geometric mean over the layouts of ours / theirs (medians of the rounds) with its 95 % interval: below 1 we are faster.
pytorch-optimizer is left out where it is not installed.
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
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats
from torch import nn

from descent.commands.show.parts import optimizers
from foundation.factories import arguments_of, class_of
from foundation.figure_style import COLORS, grid, save
from lightning_modules.optimizers import TakenSteps, build_optimizer
from lightning_modules.schedulers import Cosine, RunLength, Warmup, build_schedule

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "vit_tiny": lambda: timm.create_model("vit_tiny_patch16_224", num_classes=10),
}
PRESETS = ("sgd_momentum", "adamw", "rmsprop", "lamb", "lion", "muon")
PEERS = {"adamw": "AdamW", "lamb": "Lamb", "lion": "Lion"}  # names in pytorch-optimizer
MARKERS = "osD^vP"
TICKS = (0.3, 0.4, 0.5, 0.7, 1, 1.3)
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


def contestants(preset: str, network: Callable[[], nn.Module]) -> dict[str, Callable[[], Step]]:
    """Makers of ways to take the same step, ours first."""
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
    """The class of pytorch-optimizer, where it is installed and has one."""
    try:
        package = importlib.import_module("pytorch_optimizer")
    except ImportError:
        return None
    if preset == "muon":  # it wants to be told what is a matrix
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
    """The bare step of a contestant on parameters of its own."""
    step: Step = optimizer(list(with_gradients(network()).parameters())).step
    return step


def race(network: str, preset: str, layouts: int, rounds: int) -> list[Row]:
    """Time every contestant in turns, in several layouts of memory."""
    makers = contestants(preset, NETWORKS[network])
    seconds: dict[str, list[float]] = {who: [] for who in makers}
    shuffle = random.Random(0)
    for _ in range(layouts):
        steps = {who: makers[who]() for who in shuffle.sample(list(makers), len(makers))}
        for who, times in timed(steps, rounds, shuffle).items():
            seconds[who].append(statistics.median(times))
    ours = seconds["ours"]
    return [Row(network, preset, who, statistics.median(s) * 1e3, *ratio(ours, s)) for who, s in seconds.items()]


def timed(steps: dict[str, Step], rounds: int, shuffle: random.Random) -> dict[str, list[float]]:
    """CPU seconds of each contestant's steps after a first one that makes its state."""
    seconds: dict[str, list[float]] = {who: [] for who in steps}
    for step in steps.values():
        step()
    for _ in range(rounds):
        for who in shuffle.sample(list(steps), len(steps)):
            start = time.process_time()
            steps[who]()
            seconds[who].append(time.process_time() - start)
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Geometric mean of the paired ratios and its 95 % interval."""
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    middle, spread = statistics.mean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * spread
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def main(args: list[str] | None = None) -> None:
    """Race, print, and write a table if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizers")
    parser.add_argument("--layouts", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--out", type=Path, help="folder for optimizers.csv, .png and .svg")
    given = parser.parse_args(args)
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    many = f"1 thread, {given.layouts} layouts × {given.rounds} rounds"
    print(f"torch {torch.__version__}, timm {timm.__version__}, {platform.machine()}, {many}")
    rows = []
    for network in given.networks:
        for preset in given.presets:
            for row in race(network, preset, given.layouts, given.rounds):
                rows.append(row)
                interval = f"{row.ratio:.3f} [{row.low:.3f}, {row.high:.3f}]" if row.who != "ours" else ""
                print(
                    f"{row.network:9} {row.preset:13} {row.who:18} {row.milliseconds:8.2f} ms  {interval}", flush=True
                )
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        with (given.out / "optimizers.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([Row._fields, *rows])
        save(figure_of(rows), given.out, "optimizers")


def figure_of(rows: list[Row]) -> Figure:
    """A panel a network: the ratio of our step to each other one, an optimizer a group."""
    networks, presets = list(dict.fromkeys(r.network for r in rows)), list(dict.fromkeys(r.preset for r in rows))
    others = [who for who in dict.fromkeys(r.who for r in rows) if who != "ours"]
    figure, panels = grid(len(networks), columns=2, size=(4.8, 4.0))
    for axes, network in zip(panels, networks, strict=True):
        for row in (r for r in rows if r.network == network and r.who != "ours"):
            which = others.index(row.who)
            place = presets.index(row.preset) + 0.13 * (which - (len(others) - 1) / 2)
            look: dict[str, Any] = {"fmt": MARKERS[which], "color": COLORS[which], "markersize": 5, "capsize": 2}
            axes.errorbar(row.ratio, place, xerr=[[row.ratio - row.low], [row.high - row.ratio]], **look)
        axes.axvline(1, color="black", linewidth=1)
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes.minorticks_off()
        axes.set_yticks(range(len(presets)), presets)
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
        axes.set_title(network)
    figure.supxlabel("CPU time of our step / of theirs (log axis); left of 1 ours is faster", fontsize=10)
    marks = [Line2D([], [], linestyle="", marker=MARKERS[i], color=COLORS[i], label=w) for i, w in enumerate(others)]
    figure.legend(handles=marks, loc="outside upper center", ncols=3, frameon=False)
    return figure


if __name__ == "__main__":
    main()
