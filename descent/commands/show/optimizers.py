"""`descent show optimizers`: the path of every optimizer down an ill-conditioned quadratic, at its best rate."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from descent.commands.show import parts
from foundation.figure_style import COLORS, grid, legend, save

START = (-1.6, 1.0)
ANGLE = 0.5  # radians: a valley along an axis would be too easy for optimizers that scale each coordinate
NOTES = {"muon": " (its fallback: no matrix)"}
RATES = [10 ** (exponent / 6) for exponent in range(-24, 7)]  # 1e-4 to 10


def draw(condition: float, steps: int, out: Path) -> Path:
    """Draw each optimizer's path in its own panel and all losses in the last; return the figure's path."""
    presets = parts.optimizers()
    figure, panels = grid(len(presets) + 1, size=(3.2, 2.6))
    losses_of_all = last_panel(figure, panels.pop(), len(presets))
    for index, (axes, (name, optimizer)) in enumerate(zip(panels, presets.items(), strict=True)):
        rate, path, losses = best_path(optimizer, condition, steps)
        contour(axes, condition)
        axes.plot(*zip(*path, strict=True), color=COLORS[1], marker=".", markersize=3, linewidth=0.9)
        axes.plot(0, 0, marker="*", color=COLORS[6], markersize=7)
        axes.set_title(f"{name}{NOTES.get(name, '')}\nlr {rate:.2g}: {losses[0]:.2g} → {losses[-1]:.1e}", fontsize=9)
        style = ("-", "--", ":")[index // len(COLORS)]
        losses_of_all.plot(losses, style, color=COLORS[index % len(COLORS)], label=name)
    legend(losses_of_all, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return save(figure, out, "optimizers")


def last_panel(figure: Figure, panel: Axes, before: int) -> Axes:
    """Return the panel for all losses, which fills the rest of the last row."""
    cells = panel.get_gridspec()
    assert cells is not None
    panel.remove()
    axes = figure.add_subplot(cells[-1, before % cells.ncols :])
    axes.set(yscale="log", title="loss by step", xlabel="step")
    axes.grid(alpha=0.3)
    return axes


def hessian(condition: float) -> Tensor:
    """Return the matrix H of the loss ½ wᵀ H w: curvature 1 along the valley, `condition` across it."""
    sin, cos = math.sin(ANGLE), math.cos(ANGLE)
    rotation = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
    return rotation @ torch.diag(torch.tensor([1.0, condition]).double()) @ rotation.T


def best_path(
    optimizer: Callable[..., Any], condition: float, steps: int
) -> tuple[float, list[tuple[float, ...]], list[float]]:
    """Return the learning rate with the lowest final loss, its path and its losses."""
    runs = ((rate, *descend(optimizer, rate, condition, steps)) for rate in RATES)
    return min(runs, key=lambda run: final_loss(run[2]))


def final_loss(losses: list[float]) -> float:
    """Return the highest of the last tenth of the losses; a rate must not win by passing the minimum at the end."""
    last = losses[-max(1, len(losses) // 10) :]
    return max(last) if all(math.isfinite(loss) for loss in last) else math.inf


def descend(
    optimizer: Callable[..., Any], rate: float, condition: float, steps: int
) -> tuple[list[tuple[float, ...]], list[float]]:
    """Return path and losses of an optimizer at one rate, practically without weight decay."""
    matrix = hessian(condition)
    weights = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    built = optimizer([weights])
    for group in built.param_groups:
        group.update(lr=rate, weight_decay=1e-12)  # too small to matter; with 0 LAMB would be Adam
    if hasattr(built, "train"):
        built.train()
    path, losses = [], []
    for _ in range(steps + 1):
        loss = weights @ matrix @ weights / 2
        path.append(tuple(weights.tolist()))
        losses.append(loss.item())
        built.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        built.step()
    return path, losses


def contour(axes: Axes, condition: float) -> None:
    """Draw the loss as contour lines."""
    across, up = torch.meshgrid(torch.linspace(-2, 1, 120), torch.linspace(-1.1, 1.4, 120), indexing="xy")
    points = torch.stack([across, up], dim=-1).double()
    height = torch.einsum("...i,ij,...j->...", points, hessian(condition), points) / 2
    levels = [float(height.max()) * 4.0**-power for power in range(7, -1, -1)]
    axes.contour(across, up, height, levels=levels, colors="0.75", linewidths=0.7)
    axes.set(xlim=(-2, 1), ylim=(-1.1, 1.4), xticks=[], yticks=[])
