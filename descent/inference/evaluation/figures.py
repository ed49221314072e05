"""Figures of the evaluation page: reliability diagram, and confusion matrix of many classes."""

import numpy as np
from matplotlib.figure import Figure

from descent.inference.evaluation.calibration import CalibrationBins

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#767676"


def reliability_diagram(found: CalibrationBins) -> Figure:
    """Plot accuracy over confidence (above) and the share of predictions in each bin (below)."""
    bins = len(found.counts)
    edges = np.arange(bins) / bins
    shares = found.counts / found.counts.sum()
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.bar(edges, found.accuracy.nan_to_num().numpy(), 1 / bins, align="edge", color=BLUE, edgecolor="white")
    upper.plot([0, 1], [0, 1], color="#1b1b1b", linewidth=1, linestyle="--")
    upper.plot(found.confidence.numpy(), found.accuracy.numpy(), "o", color=ORANGE, markersize=4, clip_on=False)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    lower.bar(edges, shares.numpy(), 1 / bins, align="edge", color=GREY, edgecolor="white")
    lower.set(ylim=(0, 1), xlabel="confidence (probability of the predicted class)", ylabel="share")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def confusion_figure(confusion: np.ndarray) -> Figure:
    """Plot a large confusion matrix, each row divided by its sum; the classes are numbered."""
    figure = Figure(figsize=(7, 6.2), layout="constrained")
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the true class")
    axes.set(xlabel="predicted class (its number)", ylabel="true class (its number)")
    return figure
