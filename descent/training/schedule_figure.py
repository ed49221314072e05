"""Draw a run's schedule: learning rate, momentum and weight decay, planned and logged."""

import operator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from foundation.figure_style import COLORS, MUTED, STYLE, legend, panels, save, written
from foundation.terminal.folding import fitted
from lightning_modules.schedulers.preview import QUANTITIES, Preview

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Line = tuple[str, dict[str, list[float]], Preview]
"""A parameter group: its name, its values by quantity, and the preview that it belongs to."""

NAMES = {"lr": "learning rate", "momentum": "momentum", "weight_decay": "weight decay"}


def draw_schedule(previews: list[Preview], real: "pd.DataFrame | None", folder: Path) -> Path:
    """Draw one panel per quantity that changes, one line per parameter group, and dots for what a run logged.

    A quantity that has one value in the whole run is said in words below.

    Args:
        previews: The planned schedules, one per optimizer.
        real: A run's `metrics.csv`, if there is one.
        folder: Where to write.

    Returns:
        The figure's path.
    """
    lines = [(name, values, p) for p in named(previews) for name, values in p.groups.items()]
    steady = constants(lines)
    shown = [q for q in QUANTITIES if q not in steady and any(q in values for _, values, _ in lines)]
    heights = [2.0 if quantity == "lr" else 1.0 for quantity in shown]
    figure, drawn = panels(len(shown), size=(7, 1.2 + 1.9 * len(shown)), sharex=True, height_ratios=heights)
    for axes, quantity in zip(drawn, shown, strict=True):
        draw_quantity(axes, quantity, lines)
    if real is not None:
        draw_logged_rates(drawn[0], real)
    if len(drawn[0].get_lines()) > 1:
        legend(drawn[0])
    drawn[-1].set_xlabel("optimizer step")
    if steady:
        said = ", ".join(f"{NAMES[quantity]} {written(value)}" for quantity, value in steady.items())
        figure.supxlabel(f"In every step: {said}.", fontsize=7.5, color=MUTED, ha="left", x=0.01)
    add_epochs(drawn[0], previews)
    describe(lines)
    return save(figure, folder, "schedule")


def constants(lines: list[Line]) -> dict[str, float]:
    """Return the value of each quantity, beside the learning rate, that is the same in all steps of all groups."""
    found = {}
    for quantity in QUANTITIES[1:]:
        values = {value for _, of_group, _ in lines for value in of_group.get(quantity, [])}
        if len(values) == 1 and all(quantity in of_group for _, of_group, _ in lines):
            found[quantity] = values.pop()
    return found


def draw_quantity(axes: "Axes", quantity: str, lines: list[Line]) -> None:
    """Draw a line per parameter group."""
    for index, (name, values, _) in enumerate(lines):
        if quantity in values:
            style = ("-", "--", ":", "-.")[index % 4]
            label = "planned" if len(lines) == 1 else name
            axes.plot(values[quantity], style, color=COLORS[index % len(COLORS)], label=label)
    highest = max(max(values[quantity]) for _, values, _ in lines if quantity in values) or 1.0
    axes.set_ylabel(NAMES[quantity])
    axes.set_ylim(-0.04 * highest, 1.08 * highest)
    axes.yaxis.set_major_formatter(lambda value, _: written(value))


def named(previews: list[Preview]) -> list[Preview]:
    """Add the optimizer's number to the groups' names where there are several optimizers."""
    if len(previews) == 1:
        return previews
    return [
        Preview(p.steps_per_epoch, {f"optimizer {number}, {name}": values for name, values in p.groups.items()})
        for number, p in enumerate(previews)
    ]


def draw_logged_rates(axes: "Axes", real: "pd.DataFrame") -> None:
    """Draw a dot for the learning rate of each step that a run logged."""
    for name in (column for column in real.columns if column == "lr" or column.startswith("lr/")):
        rows = real[["step", name]].dropna()
        axes.plot(rows["step"], rows[name], ".", color="black", markersize=4, label=f"run: {name}")


def add_epochs(axes: "Axes", previews: list[Preview]) -> None:
    """Add a second axis in epochs."""
    per_epoch = previews[0].steps_per_epoch if previews else None
    if per_epoch:
        scales = partial(operator.mul, 1 / per_epoch), partial(operator.mul, per_epoch)
        top = axes.secondary_xaxis("top", functions=scales)
        top.set_xlabel("epoch", fontsize=STYLE["axes.labelsize"])
        top.tick_params(labelsize=STYLE["xtick.labelsize"])


def describe(lines: list[Line]) -> None:
    """Print each group's first, highest and last learning rate."""
    names = ["learning rate"] if len(lines) == 1 else [f"learning rate of group {name}" for name, _, _ in lines]
    width = max(map(len, names))
    for name, (_, values, seen) in zip(names, lines, strict=True):
        rates = values["lr"]
        top = rates.index(max(rates))
        replay = f", {seen.observed} validations replayed" if seen.observed else ""
        rising = f"{rates[0]:.3g} at first, {max(rates):.3g} at step {top}"
        print(fitted(f"{name:<{width}}  {rising}, {rates[-1]:.3g} at the last of {len(rates)} steps{replay}"))
