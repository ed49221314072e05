"""Figures of the evaluation page: reliability diagram, and confusion matrix of many classes."""

import numpy as np
from matplotlib.figure import Figure

from descent.inference.evaluation.calibration import CalibrationBins
from descent.inference.evaluation.class_scores import wilson_interval
from foundation.figure_style import COLORS, PAGE_WIDTH, panels

BLUE, ORANGE = COLORS[:2]
GREY = "#767676"


def reliability_diagram(found: CalibrationBins) -> Figure:
    """Plot accuracy over confidence with Wilson's 95 % intervals (above), and the predictions in each bin (below)."""
    bins = len(found.counts)
    edges = np.arange(bins) / bins
    figure, (upper, lower) = panels(2, size=(PAGE_WIDTH, 4.4), sharex=True, height_ratios=[3, 1])
    upper.bar(edges, found.accuracy.nan_to_num().numpy(), 1 / bins, align="edge", color=BLUE, edgecolor="white")
    upper.plot([0, 1], [0, 1], color="#1b1b1b", linewidth=1, linestyle="--")
    filled = [place for place, count in enumerate(found.counts.tolist()) if count]
    x, y, counts = (values[filled].numpy() for values in (found.confidence, found.accuracy, found.counts))
    ends = np.array([wilson_interval(round(a * n), n) for a, n in zip(y.tolist(), counts.tolist(), strict=True)]).T
    upper.errorbar(x, y, np.abs(ends - y), fmt="o", color=ORANGE, markersize=4, linewidth=1.2, clip_on=False)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    bars = lower.bar(edges, found.counts.numpy(), 1 / bins, align="edge", color=GREY, edgecolor="white")
    lower.bar_label(bars, [f"{count:,}" if count else "" for count in found.counts.tolist()], fontsize=8, padding=1)
    lower.set(xlabel="confidence (probability of the predicted class)", ylabel="predictions")
    lower.set_ylim(0, float(found.counts.max()) * 1.25)
    return figure


def confusion_figure(confusion: np.ndarray) -> Figure:
    """Plot a large confusion matrix, each row divided by its sum; the classes are numbered."""
    figure, (axes,) = panels(size=(7, 6.2), lines=False)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the true class")
    axes.set(xlabel="predicted class (its number)", ylabel="true class (its number)")
    return figure
