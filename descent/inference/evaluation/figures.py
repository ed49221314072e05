"""Reliability diagrams, and the confusion matrix of many classes."""

from typing import TYPE_CHECKING

import numpy as np

from descent.inference.evaluation.calibration import Reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, GREY = "#0072B2", "#767676"


def reliability_diagram(found: Reliability) -> "Figure":
    """How often answers of each probability are right (above), and how many there are (below)."""
    from matplotlib.figure import Figure

    bins = len(found.answers)
    edges = np.arange(bins) / bins
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.bar(edges, found.accuracy.nan_to_num().numpy(), 1 / bins, align="edge", color=BLUE, edgecolor="white")
    upper.plot([0, 1], [0, 1], color="#1b1b1b", linewidth=1, linestyle="--")
    upper.plot(found.confidence.numpy(), found.accuracy.numpy(), "o", color="#D55E00", markersize=4)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
    lower.bar(
        edges, (found.answers / found.answers.sum()).numpy(), 1 / bins, align="edge", color=GREY, edgecolor="white"
    )
    lower.set(ylim=(0, 1), xlabel="probability of the answer", ylabel="of answers")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def confusion_map(confusion: np.ndarray) -> "Figure":
    """Rows of a large confusion matrix as shares, by the classes' numbers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6.2), layout="constrained")
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the true class")
    axes.set(xlabel="answer (number of the class)", ylabel="true class (its number)")
    return figure
