"""Draw a learning-rate search."""

from typing import TYPE_CHECKING, Any

import numpy as np

from foundation.figure_style import legend, log_numbers, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLORS = {  # Okabe and Ito
    "nine_tenths": "#CC79A7",
    "steepest": "#D55E00",
    "valley": "#0072B2",
    "minimum_tenth": "#009E73",
}
RUN_COLORS = ("#E69F00", "#0072B2", "#009E73")


def lr_figure(search: Any) -> "Figure":
    """Draw loss against learning rate: the range test above, the held-out losses of the short runs below."""
    figure, drawn = panels(2 if search.runs else 1, size=(7.5, 6.4 if search.runs else 4.2), sharex=True)
    _draw_range_test(drawn[0], search)
    if search.runs:
        _draw_runs(drawn[1], search)
    for place, axes in enumerate(drawn):  # its label in the first panel only
        label = f"learning rate {search.pick:.3g}" if place == 0 else None
        axes.axvline(search.pick, color="black", linewidth=1.4, label=label)
        legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    drawn[-1].set(xlabel="learning rate", xscale="log", xlim=(search.rates[0], search.rates[-1]))
    log_numbers(drawn[-1].xaxis)
    figure.suptitle(f"Learning rate {search.pick:.3g}: {search.basis}", fontsize="medium")
    return figure


def _draw_range_test(axes: Any, search: Any) -> None:
    shown = search.rates[: len(search.curve)]
    for losses in search.losses:
        axes.plot(search.rates, losses, color="#999999", linewidth=0.5, alpha=0.6)
    if len(search.losses) > 1:
        axes.fill_between(
            shown, *search.test.band, color="#56B4E9", alpha=0.35, linewidth=0, label="range of the repeats"
        )
    axes.plot(shown, search.curve, color="#555555", linewidth=1.8, label="smoothed loss")
    for name, color in COLORS.items() if search.suggestions is not None else ():
        rate = getattr(search.suggestions, name)
        height = np.interp(np.log10(rate), np.log10(shown), search.curve)
        axes.plot(rate, height, "o", color=color, label=f"{name.replace('_', ' ')} {rate:.3g}")
    if len(search.curve):
        first, lowest = search.curve[0], min(search.curve.min(), np.nanquantile(search.losses, 0.01))
        fall = max(float(first - lowest), 1e-12)
        axes.set_ylim(lowest - 0.15 * fall, first + 0.6 * fall)
    axes.set(ylabel="training loss", xscale="log")
    axes.set_title("Range test", fontsize=10)


def _draw_runs(axes: Any, search: Any) -> None:
    lengths = list(dict.fromkeys(run.steps for run in search.runs))
    for steps, color in zip(lengths, RUN_COLORS, strict=False):
        runs = sorted((run for run in search.runs if run.steps == steps), key=lambda run: run.rate)
        finite = [run for run in runs if np.isfinite(run.loss)]
        points = [run.rate for run in finite], [run.loss for run in finite]
        axes.plot(*points, "o-", color=color, label=f"runs of {steps} steps")
    losses = [run.loss for run in search.runs if np.isfinite(run.loss)]
    if losses and min(losses) > 0 and max(losses) > 4 * min(losses):
        axes.set_yscale("log")
        log_numbers(axes.yaxis)
    if search.equal is not None:
        axes.axvspan(*search.equal, color="#F0E442", alpha=0.3, linewidth=0, label="about as good")
    axes.set_ylabel("held-out loss")
    axes.set_title(f"Short runs (the pick is for {search.shape.steps} steps)", fontsize=10)
