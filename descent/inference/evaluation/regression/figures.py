"""Figures of a regression: predicted against true, residuals against predicted, histogram of the residuals."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from descent.inference.evaluation.page_parts import number
from descent.inference.evaluation.regression.evaluation import RegressionEvaluation
from foundation.figure_style import COLORS, PAGE_WIDTH, panels

MAX_POINTS = 1500
"""Up to this many samples each is a point with its name; with more the figure shows how many lie in each cell."""
INK, SIZE = "#1b1b1b", (PAGE_WIDTH, 4.0)
BLUE, ORANGE = COLORS[:2]


def predicted_against_true(found: RegressionEvaluation) -> Figure:
    """Plot predictions over targets; a perfect prediction is on the dashed diagonal."""
    figure, axes = _axes("true", "predicted")
    _samples(axes, found.targets, found.predicted)
    low, high = (bound(found.targets, found.predicted) for bound in (_lowest, _highest))
    axes.plot([low, high], [low, high], color=INK, linewidth=1, linestyle="--")
    return figure


def residuals_against_predicted(found: RegressionEvaluation) -> Figure:
    """Plot predicted − true over the prediction; without a structure they scatter evenly around the dashed zero."""
    figure, axes = _axes("predicted", "predicted − true")
    _samples(axes, found.predicted, found.errors)
    axes.axhline(0, color=INK, linewidth=1, linestyle="--")
    return figure


def residual_histogram(found: RegressionEvaluation) -> Figure:
    """Plot how often each size of error occurs."""
    figure, axes = _axes("predicted − true", "samples")
    axes.hist(found.errors, bins=min(60, max(8, round(2 * len(found.errors) ** (1 / 3)))), color=BLUE, edgecolor="w")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.axvline(0, color=INK, linewidth=1, linestyle="--")
    axes.axvline(found.mean_error.value, color=ORANGE, linewidth=1.6)
    return figure


def point_titles(found: RegressionEvaluation) -> list[str]:
    """Return the text that appears over each point of the scatter plots; empty if they do not show points."""
    if len(found.targets) > MAX_POINTS:
        return []
    rows = zip(found.samples.names, found.targets.tolist(), found.predicted.tolist(), strict=True)
    return [f"{name}: true {number(true)}, predicted {number(predicted)}" for name, true, predicted in rows]


def _axes(across: str, up: str) -> tuple[Figure, Axes]:
    figure, (axes,) = panels(size=SIZE)
    axes.set(xlabel=across, ylabel=up)
    return figure, axes


def _samples(axes: Axes, across: np.ndarray, up: np.ndarray) -> None:
    if len(across) <= MAX_POINTS:
        size = 18 if len(across) <= 300 else 7
        axes.scatter(across, up, s=size, color=BLUE, alpha=0.55, linewidths=0, gid="points", clip_on=False)
        return
    cells = axes.hexbin(across, up, gridsize=45, bins="log", mincnt=1, cmap="viridis_r", linewidths=0.1)
    axes.figure.colorbar(cells, ax=axes, label="samples")


def _lowest(first: np.ndarray, second: np.ndarray) -> float:
    return float(min(first.min(), second.min()))


def _highest(first: np.ndarray, second: np.ndarray) -> float:
    return float(max(first.max(), second.max()))
