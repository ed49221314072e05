"""`descent show schedulers`: the learning rate of every schedule over a run."""

import math
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes

from descent.commands.show import parts
from foundation.figure_style import COLORS, grid, legend, save
from lightning_modules.schedulers import RunLength, build_schedule
from lightning_modules.schedulers.preview import preview

STEPS_PER_EPOCH = 20


def draw(epochs: int, out: Path) -> Path:
    """Draw every preset in its own panel and return the figure's path."""
    presets = parts.schedulers()
    figure, panels = grid(len(presets), columns=5, size=(2.9, 2.2))
    for axes, (name, scheduler) in zip(panels, presets.items(), strict=True):
        panel(axes, name, scheduler, epochs)
    handles = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    legend(figure, list(handles.values()), list(handles), loc="outside upper center", ncols=len(handles))
    figure.supxlabel("epoch")
    figure.supylabel("learning rate relative to the optimizer's")
    return save(figure, out, "schedulers")


def panel(axes: Axes, name: str, scheduler: Any, epochs: int) -> None:
    """Draw one schedule, and the momentum if the schedule changes it."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    run_length = RunLength(epochs * STEPS_PER_EPOCH, epochs, STEPS_PER_EPOCH)
    config = build_schedule(scheduler, optimizer, run_length)
    ends = [STEPS_PER_EPOCH * (epoch + 1) for epoch in range(epochs)]
    losses = [validation_loss(epoch / epochs) for epoch in range(epochs)]
    values = preview(optimizer, config, run_length, ends, losses).groups["0"]
    time = [step / STEPS_PER_EPOCH for step in range(run_length.steps or 0)]
    axes.plot(time, values["lr"], color=COLORS[0], label="learning rate")
    axes.set(title=name, ylim=(-0.05, 1.05), xlim=(0, epochs))
    if len(set(values["momentum"])) > 1:
        axes.plot(time, values["momentum"], color=COLORS[1], linestyle="--", linewidth=1, label="momentum")
    if config is not None and getattr(config["scheduler"], "monitor", None):
        label = f"{config['monitor']}, synthetic"
        axes.plot(time[::STEPS_PER_EPOCH], losses, color=COLORS[2], linestyle=":", label=label)


def validation_loss(share: float) -> float:
    """Return a synthetic validation loss for `plateau`: four times it falls and stays, rounded to two digits."""
    stair = min(3, int(4 * share))
    before, after = (1.0 if stair == 0 else 0.25 + 0.6 * 0.5**stair), 0.25 + 0.3 * 0.5**stair
    return round(after + (before - after) * math.exp(-40 * (share - stair / 4)), 2)
