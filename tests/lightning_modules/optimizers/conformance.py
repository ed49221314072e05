"""The conformance table: every optimizer preset against its paper, how far off it is and where it departs on purpose.

`python -m tests.lightning_modules.optimizers.conformance` writes the table into docs/optimizers.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from timm.optim.lamb import Lamb
from timm.optim.lion import Lion
from timm.optim.muon import Muon
from timm.optim.rmsprop_tf import RMSpropTF
from torch import Tensor, nn

from foundation.factories import name_of
from lightning_modules.optimizers import ParameterGroups, build_optimizer
from tests.lightning_modules.optimizers import papers

ROOT = Path(__file__).parents[3]
PRESETS = ROOT / "configs" / "optimizers"
DOCS = ROOT / "docs" / "optimizers.md"
BEGIN, END = "<!-- conformance: begin -->", "<!-- conformance: end -->"
STEPS = 50
MISSING = {"conv": {5, 6, 20}, "bias": {0, 1, 2, 30}}  # steps in which a parameter gets no gradient


@dataclass(frozen=True)
class Case:
    """The paper of an optimizer, the largest deviations allowed, and a wrong variant that must exceed them.

    Args:
        paper: Authors and year.
        update: The update of the paper.
        float64: Largest deviation of a weight (of size about 1) in 50 steps in float64.
        float32: The same in float32.
        wrong: Another optimizer, or the same one with wrong settings, which the test must detect.
        departures: Differences from the paper.
    """

    paper: str
    update: papers.Update
    float64: float
    float32: float
    wrong: Callable[..., Any]
    departures: str = "none"


partial = functools.partial
optim = torch.optim
CASES: dict[str, Case] = {
    "sgd": Case("Robbins, Monro 1951", papers.sgd, 1e-13, 1e-5, partial(optim.SGD, lr=0.1, momentum=0.01)),
    "sgd_momentum": Case(
        "Sutskever et al. 2013",
        papers.sgd,
        1e-13,
        1e-5,
        partial(optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.0),
        "the rate multiplies the velocity, not the gradient in it: the same at a constant rate",
    ),
    "nesterov": Case(
        "Sutskever et al. 2013",
        papers.sgd,
        1e-13,
        1e-5,
        partial(optim.SGD, lr=0.1, momentum=0.9, weight_decay=1e-4),
        "as sgd_momentum",
    ),
    "adam": Case(
        "Kingma, Ba 2015",
        papers.adam,
        1e-13,
        1e-5,
        partial(optim.AdamW, lr=1e-3, weight_decay=1e-4),
        "weight decay is L2",
    ),
    "adamw": Case(
        "Loshchilov, Hutter 2019",
        papers.adamw,
        1e-13,
        1e-5,
        partial(optim.Adam, lr=1e-3, weight_decay=0.01),
        "the decay is multiplied by the rate",
    ),
    "rmsprop": Case(
        "Tieleman, Hinton 2012",
        papers.rmsprop,
        1e-13,
        1e-5,
        partial(RMSpropTF, lr=1e-3, alpha=0.99, eps=1e-8, weight_decay=1e-4),
    ),
    "radam": Case(
        "Liu et al. 2020",
        papers.radam,
        1e-13,
        1e-5,
        partial(optim.Adam, lr=1e-3, weight_decay=1e-4),
        "rectifies from ρ > 5, the paper from 4; ε beside the root; weight decay is L2",
    ),
    "nadam": Case(
        "Dozat 2016",
        papers.nadam,
        1e-10,
        1e-5,
        partial(optim.NAdam, lr=1e-3, weight_decay=1e-4, momentum_decay=0.04),
        "the product of the μ is kept in float32; weight decay is L2",
    ),
    "lamb": Case(
        "You et al. 2020",
        papers.lamb,
        1e-13,
        1e-5,
        partial(Lamb, lr=1e-3, weight_decay=0.01),  # timm's default clips the gradients inside
        "steps are counted by group, not by parameter; without weight decay it is Adam (no trust ratio)",
    ),
    "lion": Case(
        "Chen et al. 2023", papers.lion, 1e-13, 1e-5, partial(Lion, lr=1e-4, betas=(0.99, 0.9), weight_decay=0.1)
    ),
    "adafactor": Case(
        "Shazeer, Stern 2018",
        papers.adafactor,
        1e-13,
        1e-5,
        partial(optim.Adafactor, lr=0.01, beta2_decay=-0.9),
        "ε₁ bounds the estimate and is not added to the squares; a convolution is factored over its kernel's two"
        " dimensions, which saves little",
    ),
    "muon": Case(
        "Jordan et al. 2024; Liu et al. 2025",
        papers.muon,
        1e-4,
        1e-4,
        partial(Muon, lr=2e-3, weight_decay=0.01, nesterov=False),
        "Newton-Schulz runs in bfloat16, here compared with float64; coefficients differ by step; vectors get NAdam's"
        " step",
    ),
    "schedule_free_adamw": Case(
        "Defazio et al. 2024",
        papers.schedule_free_adamw,
        1e-13,
        1e-5,
        partial(optim.AdamW, lr=2.5e-3, weight_decay=0.01),
        "steps are counted by group, not by parameter; it overwrites the gradients",
    ),
}


def preset(name: str) -> Callable[..., Any]:
    """Return the optimizer of a preset file, without its parameters."""
    config = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())
    module, _, kind = config["class_path"].rpartition(".")
    arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in config["init_args"].items()}
    return functools.partial(getattr(__import__(module, fromlist=[kind]), kind), **arguments)


class Weights(nn.Module):
    """A matrix, the filters of a convolution and a bias."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.matrix = nn.Parameter(torch.randn(6, 5, generator=generator, dtype=torch.float64).to(dtype))
        self.conv = nn.Parameter(torch.randn(8, 3, 3, 3, generator=generator, dtype=torch.float64).to(dtype))
        self.bias = nn.Parameter(torch.randn(5, generator=generator, dtype=torch.float64).to(dtype))


def gradients(dtype: torch.dtype) -> list[dict[str, Tensor | None]]:
    """Return the gradients of every step, equal in both precisions up to rounding."""
    generator = torch.Generator().manual_seed(2)
    steps: list[dict[str, Tensor | None]] = []
    for step in range(STEPS):
        drawn = {name: torch.randn(p.shape, generator=generator) for name, p in Weights(dtype).named_parameters()}
        steps.append({n: None if step in MISSING.get(n, ()) else g.to(dtype) for n, g in drawn.items()})
    return steps


def run_optimizer(optimizer: Callable[..., Any], dtype: torch.dtype) -> list[dict[str, Tensor]]:
    """Return the weights after each step; the bias has no weight decay, the filters have half the rate."""
    module = Weights(dtype)
    built = build_optimizer(optimizer, module, ParameterGroups(lr_factors={"conv": 0.5}))
    if hasattr(built, "train"):
        built.train()
    path = []
    for step in gradients(dtype):
        for name, parameter in module.named_parameters():
            gradient = step[name]
            parameter.grad = None if gradient is None else gradient.clone()
        built.step()
        path.append({name: parameter.detach().clone() for name, parameter in module.named_parameters()})
    return path


def run_paper(update: papers.Update, optimizer: Callable[..., Any]) -> list[dict[str, Tensor]]:
    """Return the same by the update of the paper, in float64, with the options of the optimizer's groups."""
    module = Weights(torch.float64)
    built = build_optimizer(optimizer, module, ParameterGroups(lr_factors={"conv": 0.5}))
    of = {id(p): {k: v for k, v in g.items() if k != "params"} for g in built.param_groups for p in g["params"]}
    weights = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    numbers = {name: of[id(parameter)] for name, parameter in module.named_parameters()}
    states: dict[str, papers.State] = {name: {} for name in weights}
    counts = dict.fromkeys(weights, 0)
    path = []
    for calls, step in enumerate(gradients(torch.float64), start=1):
        for name, gradient in step.items():
            if gradient is not None:
                counts[name] += 1
                given = numbers[name] | {"calls": calls}
                weights[name] = update(weights[name], gradient, states[name], given, counts[name])
        path.append(dict(weights))
    return path


def deviation(
    update: papers.Update, paper_of: Callable[..., Any], tested: Callable[..., Any], dtype: torch.dtype
) -> float:
    """Return the largest difference of any weight at any step."""
    ours, theirs = run_optimizer(tested, dtype), run_paper(update, paper_of)
    return max(float((a[name].double() - b[name]).abs().max()) for a, b in zip(ours, theirs, strict=True) for name in a)


def table() -> str:
    """Return the table of the docs."""
    lines = [
        "| preset | class | paper | float64 | float32 | known departures |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, case in CASES.items():
        lines.append(
            f"| `{name}` | `{name_of(preset(name))}` | {case.paper} | {case.float64:.0e} | {case.float32:.0e} |"
            f" {case.departures} |"
        )
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Return the docs with the current table."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCS.write_text(with_table(DOCS.read_text()))
