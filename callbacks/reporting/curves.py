"""Draw the learning curves of one run or of several."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from callbacks.reporting.table import number
from foundation.errors import UserError
from foundation.figure_style import COLORS, MUTED, label_ends, log_numbers, panels, written
from foundation.metrics.direction import known_direction
from foundation.metrics.names import by_canonical_name, canonical
from foundation.suggestions import did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUANTITIES = ("loss", "accuracy", "generator_loss", "discriminator_loss", "sliced_wasserstein")
"""What is drawn if a run has it, in this order."""
MOST = 3
"""Panels of quantities that are drawn if nothing is asked for."""
FEW = 4
"""Up to so many runs have labels of two lines."""
STEEP = 4.0
"""A quantity whose values differ by more than this factor has a logarithmic axis, if it has no bound above."""
LOGARITHMIC = ("loss", "sliced_wasserstein")
NAMES = {"train": "training", "val": "validation"}
AVERAGED = {
    "EMA": "the moving average of the weights (EMA)",
    "SWA": "averaged weights (SWA)",
    "StochasticWeightAveraging": "averaged weights (SWA)",
    "WeightAveraging": "averaged weights",
    "EMAWeightAveraging": "the moving average of the weights (EMA)",
    "ScheduleFreeWeights": "the averaged weights of the schedule-free optimizer",
}
"""Callbacks that validate with other weights than those that are trained."""


def note_of(kinds: Sequence[str]) -> str:
    """Return what to say below curves, from the class names of a run's callbacks.

    Example:
        >>> note_of(["EMA", "GradientNorm"])
        'The last value of each epoch, not smoothed. Validation with the moving average of the weights (EMA).'
    """
    averaged = [AVERAGED[kind] for kind in kinds if kind in AVERAGED]
    return "The last value of each epoch, not smoothed." + (f" Validation with {averaged[0]}." if averaged else "")


def curves(runs: "Sequence[tuple[str, pd.DataFrame]]", metrics: Sequence[str] = (), note: str = "") -> "Figure":
    """Draw quantities by epoch above each other, and the learning rate below.

    Args:
        runs: Label and table (as `history` returns it) of each run. One run has a colour for each of training and
            validation; several have one each, with training dashed.
        metrics: Quantities to draw, such as `accuracy`; by default loss, accuracy and those of a GAN, else the first
            of what validation logs.
        note: Stands below.

    Returns:
        A figure without a window.

    Raises:
        UserError: No run has one of the metrics.
    """
    from matplotlib.ticker import MaxNLocator

    tables = [(label, canonical_columns(table)) for label, table in runs]
    shown = quantities([table for _, table in tables], metrics)
    rates = any(rates_of(table) for _, table in tables)
    heights = [panel_height(len(tables))] * len(shown) + [1.1] * rates
    figure, axes = panels(
        max(len(heights), 1), size=(7.2, 0.6 + sum(heights)), sharex=True, height_ratios=heights or [1]
    )
    for quantity, each in zip(shown, axes, strict=False):
        draw_quantity(each, tables, quantity)
    if rates:
        draw_rates(axes[-1], tables)
    if shown or rates:
        axes[-1].set_xlabel("epoch")
        axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.align_ylabels()
    if note:
        figure.supxlabel(note, fontsize=7.5, color=MUTED, ha="left", x=0.01)
    return figure


def canonical_columns(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table without empty columns, with canonical names, also of what Lightning gives the ending `_epoch`."""
    table = table.dropna(axis="columns", how="all")
    known = by_canonical_name([name.removesuffix("_epoch") for name in table.columns])
    columns = {name: key for key, name in known.items()}
    table = table.rename(columns=lambda name: columns.get(name.removesuffix("_epoch"), name))
    return table.loc[:, ~table.columns.duplicated()]


def quantities(tables: "Sequence[pd.DataFrame]", asked: Sequence[str]) -> list[str]:
    """Return which quantities to draw."""
    names = {name for table in tables for name in table.columns if name.startswith(("train/", "val/"))}
    there = {name.partition("/")[2] for name in names if not name.endswith("_step")}
    if asked:
        wanted = [canonical(f"val/{canonical(name).rpartition('/')[2]}").partition("/")[2] for name in asked]
        for name, given in zip(wanted, asked, strict=True):
            if name not in there:
                otherwise = f"there are {', '.join(sorted(there)) or 'none'}."
                raise UserError(f"--metric {given} is not logged: {did_you_mean(name, sorted(there), otherwise)}")
        return list(dict.fromkeys(wanted))
    known = [name for name in QUANTITIES if name in there]
    others = sorted(name.partition("/")[2] for name in names if name.startswith("val/"))
    return known or others[:MOST]


def draw_quantity(axes: "Axes", tables: "Sequence[tuple[str, pd.DataFrame]]", quantity: str) -> None:
    """Draw one quantity of all runs, the best epoch of each marked, with labels at the ends of the lines."""
    ends, drawn, colors = [], [], colors_of(len(tables))
    for place, (label, table) in enumerate(tables):
        for stage in ("train", "val"):
            values = table[name].dropna() if (name := f"{stage}/{quantity}") in table else None
            if values is None or not len(values):
                continue
            several = len(tables) > 1
            color = colors[place] if several else COLORS[stage == "val"]
            x = values.index + 1
            axes.plot(x, values, "--" if several and stage == "train" else "-", color=color, linewidth=1.5,
                      alpha=0.6 if several and stage == "train" else 1, marker="." if len(values) < 40 else "",
                      label=f"{label} {NAMES[stage]}".strip())  # fmt: skip
            drawn.append(values)
            text = (label or NAMES[stage]) if several else NAMES[stage]
            if stage == "val" and (best := mark_best(axes, name, values, color)):
                text += f"\n{best}" if len(tables) <= FEW else f": {best}"
            if stage == "val" or not several or f"val/{quantity}" not in table:
                ends.append((x[-1], values.iloc[-1], text, color))
    axes.set_ylabel(quantity.replace("_", " "))
    low, high = (float(limit(limit(values) for values in drawn)) for limit in (min, max))
    if quantity in LOGARITHMIC and low > 0 and high / low > STEEP:
        axes.set_yscale("log")
        log_numbers(axes.yaxis)
    label_ends(axes, ends, height=0.2 / panel_height(len(tables)))


def panel_height(runs: int) -> float:
    """Return the inches that the labels of so many runs need; a label of few runs has two lines."""
    return max(2.3, 0.21 * runs)


def colors_of(runs: int) -> list[str]:
    """Return a colour for each run, Okabe and Ito's as far as they go."""
    if runs <= len(COLORS):
        return COLORS
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](0.95 * run / (runs - 1))) for run in range(runs)]


def mark_best(axes: "Axes", name: str, values: "pd.Series[float]", color: str) -> str | None:
    """Circle the best value; return it in words, `None` if it is not known which direction is better."""
    direction = known_direction(name)
    finite = values[values.map(math.isfinite)]
    if direction is None or not len(finite):
        return None
    epoch: Any = finite.idxmin() if direction == "min" else finite.idxmax()
    axes.plot(epoch + 1, finite[epoch], "o", markersize=8, markerfacecolor="none", color=color, zorder=5)
    return f"best {number(float(finite[epoch]))}, epoch {epoch + 1}"


def rates_of(table: "pd.DataFrame") -> list[str]:
    """Return the columns that are learning rates."""
    return [name for name in table.columns if name == "lr" or name.startswith("lr/")]


def draw_rates(axes: "Axes", tables: "Sequence[tuple[str, pd.DataFrame]]") -> None:
    """Draw the learning rates; it is not logged in each epoch that is shorter than the interval of logging."""
    ends, colors = [], colors_of(len(tables))
    for run, (_, table) in enumerate(tables):
        names = rates_of(table)
        for place, name in enumerate(names):
            values = table[name].dropna()
            color = colors[run] if len(tables) > 1 else COLORS[2 + place % (len(COLORS) - 2)]
            axes.plot(values.index + 1, values, color=color, linewidth=1.5, marker="." if len(values) < 40 else "")
            if len(names) > 1 and len(tables) == 1 and len(values):
                ends.append((values.index[-1] + 1, values.iloc[-1], name.removeprefix("lr/"), color))
    axes.set(ylabel="learning rate", ylim=(0, None))
    axes.yaxis.set_major_formatter(lambda value, _: written(value))
    label_ends(axes, ends, height=0.2)
