"""The picture of a learning-rate search."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from callbacks.lr_search import LRSearch

COLORS = {  # Okabe and Ito
    "nine_tenths": "#CC79A7",
    "steepest": "#D55E00",
    "valley": "#0072B2",
    "minimum_tenth": "#009E73",
}


def lr_figure(search: "LRSearch") -> "Figure":
    """Loss against learning rate (log axis): smoothed mean, band of the repeats, raw losses faint, suggestions marked.

    Returns:
        A figure that belongs to no window.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    axes = figure.subplots()
    shown = search.rates[: len(search.curve)]
    for losses in search.losses:
        axes.plot(search.rates, losses, color="#999999", linewidth=0.5, alpha=0.6)
    axes.fill_between(shown, *search.band, color="#56B4E9", alpha=0.35, linewidth=0, label="range of the repeats")
    axes.plot(shown, search.curve, color="black", linewidth=1.8, label="smoothed loss")
    lower, upper = search.suggestions.cyclic
    axes.axvspan(lower, upper, color="#F0E442", alpha=0.25, linewidth=0, label=f"cyclic {lower:.2g} to {upper:.2g}")
    for name, color in COLORS.items():
        rate = getattr(search.suggestions, name)
        mark = " (pick)" if name == search.method else ""
        axes.axvline(rate, color=color, linestyle="-" if mark else "--", linewidth=1.4)
        height = np.interp(np.log10(rate), np.log10(shown), search.curve)
        axes.plot(rate, height, "o", color=color, label=f"{name.replace('_', ' ')} {rate:.2g}{mark}")
    first, lowest = search.curve[0], min(search.curve.min(), np.nanquantile(search.losses, 0.01))
    fall = max(float(first - lowest), 1e-12)
    axes.set(xscale="log", ylim=(lowest - 0.15 * fall, first + 0.6 * fall))
    axes.set(xlabel="learning rate", ylabel="training loss", title="Learning-rate range test")
    axes.set_xlim(search.rates[0], search.rates[-1])
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
