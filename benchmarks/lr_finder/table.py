"""Table and figure of `benchmarks.lr_finder`: the distance of each suggestion from the best rate of the grid.

    python -m benchmarks.lr_finder.table [--folder FOLDER]

Reads results.csv and curves.csv in FOLDER, prints the table and writes finder.png. The best rate is the one with the
lowest validation loss, averaged over the seeds of the grid. A factor is max(suggestion / best, best / suggestion);
neighbouring rates of the grid differ by a factor of 2.15.
"""

import math
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from benchmarks.common.command_line import RESULTS, parser
from foundation.figure_style import panels

COLORS = {
    "nine_tenths": "#CC79A7",
    "minimum_tenth": "#009E73",
    "steepest": "#D55E00",
    "valley": "#0072B2",
    "Lightning": "#000000",
}


def grids(results: pd.DataFrame) -> pd.DataFrame:
    """Return the grids as columns optimizer, kind ("validation", "last fifth"), rate, seed, loss."""
    parts = results["what"].str.extract(r"^(?P<kind>.+) loss at (?P<rate>.+)$")
    rows = results.join(parts).dropna(subset="rate")
    return rows.assign(rate=rows["rate"].astype(float)).rename(columns={"value": "loss"})


def mean_losses(results: pd.DataFrame, optimizer: str, kind: str) -> pd.Series:
    """Return the mean loss over the seeds, by rate."""
    rows = grids(results)
    rows = rows[(rows["optimizer"] == optimizer) & (rows["kind"] == kind)]
    return rows.groupby("rate")["loss"].mean()


def table(results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per optimizer and suggestion: its range over the seeds, and its factors from the best rate."""
    rows = []
    for optimizer in results["optimizer"].unique():
        best = float(str(mean_losses(results, optimizer, "validation").idxmin()))
        for what in COLORS:
            chosen = results[(results["optimizer"] == optimizer) & (results["what"] == what)]["value"]
            finite = chosen.dropna()
            if finite.empty:
                continue
            factors = [math.exp(abs(math.log(rate / best))) for rate in finite]
            rows.append(
                {
                    "optimizer": optimizer,
                    "best in the grid": best,
                    "suggestion": what,
                    "searches": len(chosen),
                    "lowest": finite.min(),
                    "highest": finite.max(),
                    "smallest factor": min(factors),
                    "largest factor": max(factors),
                    "within 3": f"{sum(factor <= 3 for factor in factors)} of {len(chosen)}",
                }
            )
    return pd.DataFrame(rows)


def draw(axes: Axes, results: pd.DataFrame, curves: pd.DataFrame, optimizer: str) -> None:
    """Draw the range tests, the losses of the grid, and the suggestions as marks at the bottom."""
    for _, curve in curves[curves["optimizer"] == optimizer].groupby("seed"):
        axes.plot(curve["lr"], curve["loss"], color="#999999", linewidth=0.8, label="range test")
    for kind, marker in (("validation", "o"), ("last fifth", "s")):
        losses = mean_losses(results, optimizer, kind)
        axes.plot(losses.index, losses, marker=marker, markersize=4, label=f"grid, {kind} loss", linewidth=1.4)
    best = float(str(mean_losses(results, optimizer, "validation").idxmin()))
    axes.axvspan(best / 3, best * 3, color="#F0E442", alpha=0.3, linewidth=0, label="within 3 of the best")
    for place, (what, color) in enumerate(COLORS.items()):
        rates = results[(results["optimizer"] == optimizer) & (results["what"] == what)]["value"].dropna()
        label = what.replace("_", " ")
        axes.plot(rates, [1.17 - 0.045 * place] * len(rates), "|", color=color, markersize=9, label=label)
    axes.set(xscale="log", xlim=(1e-5, 10), ylim=(0.9, 2.6), title=optimizer, xlabel="learning rate", ylabel="loss")
    axes.grid(alpha=0.3)


def main() -> None:
    """Print the table, write the figure."""
    options = parser(__doc__)
    options.add_argument("--folder", type=Path, default=RESULTS / "lr_finder")
    folder = options.parse_args().folder
    results = pd.read_csv(folder / "results.csv")
    curves = pd.read_csv(folder / "curves.csv", names=["optimizer", "seed", "lr", "loss"])
    print(table(results).to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    optimizers = list(results["optimizer"].unique())
    figure, drawn = panels(1, len(optimizers), size=(2 + 4.5 * len(optimizers), 4.6))
    for axes, optimizer in zip(drawn, optimizers, strict=True):
        draw(axes, results, curves, optimizer)
    handles = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
    figure.legend(list(handles.values()), list(handles), loc="outside right center", frameon=False, fontsize=8)
    figure.savefig(folder / "finder.png", dpi=120)


if __name__ == "__main__":
    main()
