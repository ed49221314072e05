"""ROC and precision-recall curve as figures, with the usual thresholds as points."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from descent.inference.evaluation.bootstrap import Array
from descent.inference.evaluation.labels.curves import Counts, Curves
from foundation.figure_style import COLORS, PAGE_WIDTH, panels

MAX_POINTS = 600
BLUE, ORANGE = COLORS[:2]


def roc_figure(curves: Curves, table: Sequence[Counts], current: Counts) -> Figure:
    """Plot recall over false-positive rate; guessing is on the dashed diagonal."""
    figure, axes = _axes("false-positive rate", "recall (true-positive rate)")
    axes.plot(*_thinned(*curves.roc()), color=BLUE, linewidth=1.8)
    axes.plot([0, 1], [0, 1], color="#1b1b1b", linewidth=1, linestyle="--")
    _points(
        axes, [(row.false_positive_rate, row.recall) for row in table], (current.false_positive_rate, current.recall)
    )
    return figure


def precision_recall_figure(curves: Curves, table: Sequence[Counts], current: Counts) -> Figure:
    """Plot precision over recall; guessing is on the dashed line, at the share of positive samples."""
    figure, axes = _axes("recall", "precision")
    axes.step(*_thinned(*curves.precision_recall()), where="pre", color=BLUE, linewidth=1.8)
    axes.axhline(curves.prevalence, color="#1b1b1b", linewidth=1, linestyle="--")
    _points(axes, [(row.recall, row.precision) for row in table], (current.recall, current.precision))
    return figure


def threshold_titles(table: Sequence[Counts]) -> list[str]:
    """Return the text that appears over each point of `drawn` thresholds."""
    return [
        f"threshold {row.threshold:g}: precision {row.precision:.1%}, recall {row.recall:.1%}, false-positive rate "
        f"{row.false_positive_rate:.1%}"
        for row in table
    ]


def drawn(table: Sequence[Counts]) -> list[Counts]:
    """Return the thresholds that have a point on both curves."""
    return [row for row in table if not np.isnan(row.precision)]


def _axes(across: str, up: str) -> tuple[Figure, Axes]:
    figure, (axes,) = panels(size=(PAGE_WIDTH, 4.2))
    axes.set(xlabel=across, ylabel=up, xlim=(-0.01, 1.01), ylim=(0, 1.01))
    return figure, axes


def _points(axes: Axes, points: list[tuple[float, float]], current: tuple[float, float]) -> None:
    across, up = zip(*points, strict=True) if points else ((), ())
    axes.scatter(across, up, s=16, color=BLUE, zorder=3, gid="points", clip_on=False)
    axes.scatter(*current, s=60, facecolors="none", edgecolors=ORANGE, linewidths=2, zorder=4, clip_on=False)


def _thinned(across: Array, up: Array) -> tuple[Array, Array]:
    """Return at most `MAX_POINTS` points of a curve, evenly spaced, with both ends."""
    chosen = np.unique(np.linspace(0, len(across) - 1, min(len(across), MAX_POINTS)).round().astype(int))
    return across[chosen], up[chosen]
