"""Draw the test score against the samples that a run trained on and its time, from the CSV files of the benchmarks.

    python -m benchmarks.pruning.figure

Points are means over the seeds, bars their 95 % intervals. At equal cost compare vertically, at equal score
horizontally. Times are relative to the whole run of the same seed, and their median is drawn: a few runs were slowed
down by other programs. The file is pruning.png in the folder of the results.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from benchmarks.common.command_line import RESULTS, parser, read_csv
from benchmarks.pruning.__main__ import Row
from descent.studies.statistics.intervals import t_interval
from foundation.figure_style import COLORS, grid, legend

TITLES = {
    "digits": "digits, accuracy in %",
    "digits_noisy": "digits, a fifth of the labels random, accuracy in %",
    "cifar10": "5,000 CIFAR-10 images, accuracy in %",
    "diabetes": "diabetes, RMSE (lower is better)",
    "finetune": "fine-tuning, accuracy in %",
}
COSTS = {"samples": "samples that the run trained on", "seconds": "time, relative to the whole run"}


def curve(rows: Sequence[Row], method: str, cost: str = "samples") -> list[tuple[float, float, float]]:
    """Return cost, mean score and half the width of its interval, for each ratio from the longest run on.

    The cost is the mean of the samples, or the median of the relative seconds. The whole run is the first point of both
    methods.
    """
    found = []
    whole = {row.seed: row.seconds for row in rows if row.ratio == 0}
    for ratio in sorted({row.ratio for row in rows}):
        own = [row for row in rows if row.ratio == ratio and (row.method == method or ratio == 0)]
        scores = np.array([row.score for row in own])
        half = float(t_interval(scores).high) - float(scores.mean()) if len(own) > 1 else 0.0
        if cost == "samples":
            spent = np.mean([row.samples for row in own])
        else:
            spent = np.median([row.seconds / whole[row.seed] for row in own])
        found.append((float(spent), float(scores.mean()), half))
    return found


def draw(axes: Axes, rows: Sequence[Row], title: str, cost: str) -> None:
    """Draw the curves of a task against one of the costs."""
    scale = 100 if "%" in title else 1
    for method, color, marker in zip(("plain", "pruned"), COLORS, "os", strict=False):
        spent, scores, halves = np.array(curve(rows, method, cost)).T
        label = "ordinary, shorter" if method == "plain" else "pruned"
        axes.errorbar(spent, scale * scores, scale * halves, c=color, marker=marker, capsize=3, label=label)
    seeds = len({row.seed for row in rows})
    axes.set_title(f"{title} ({seeds} seeds)", fontsize=9)
    axes.set_xlabel(COSTS[cost])
    axes.set_xlim(0, None)
    axes.grid(alpha=0.3)


def main(args: Sequence[str] | None = None) -> None:
    """Draw all tasks that have a file with several seeds."""
    given = parser(__doc__, out=RESULTS / "pruning").parse_args(args)
    tasks = {name: read_csv(Row, Path(given.out) / f"{name}.csv") for name in TITLES}
    tasks = {name: rows for name, rows in tasks.items() if len({row.seed for row in rows}) > 1}
    figure, drawn = grid(len(tasks) * len(COSTS), columns=len(COSTS), size=(4.5, 2.6))
    for axes, ((name, rows), cost) in zip(drawn, product(tasks.items(), COSTS), strict=True):
        draw(axes, rows, TITLES[name], cost)
    legend(figure.axes[0])
    figure.savefig(Path(given.out) / "pruning.png", dpi=130)


if __name__ == "__main__":
    main()
