"""Figures of a study, readable on a phone, in print and with colour blindness."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.data_frames import curve_table
from descent.studies.report.end_labels import EndLabels
from descent.studies.report.pairs import Pair
from descent.studies.report.scale import Scale
from descent.studies.running.recorder import PHASES
from descent.studies.statistics.intervals import t_interval
from foundation.figure_style import COLORS as OKABE_ITO
from foundation.figure_style import MUTED, PAGE_WIDTH, panels, written
from foundation.html.hover import hover
from foundation.html.page_file import drawn_or_none
from foundation.metrics.names import canonical

COLORS = (*OKABE_ITO[:6], "#7F7F7F", "#000000")
MARKERS = "osD^vP*X"
DECISIONS = {"better": "#0072B2", "worse": "#0072B2", "equal": "#009E73", "undecided": "#6B6B6B"}
"""Colours of the decisions, those of the page's table."""
WIDTH, HEIGHT = PAGE_WIDTH, 3.3  # inches


def all_figures(analysis: StudyAnalysis) -> dict[str, Figure]:
    """Draw every figure that the study has data for, by name."""
    figures: dict[str, Callable[[StudyAnalysis], Figure | None]] = {
        "differences": differences,
        "curves": partial(curves, stage="val"),
        "curves_training": partial(curves, stage="train"),
        "sensitivity": sensitivity,
        "expected_best": expected_best_curves,
        "time": time_split,
    }
    made = {name: drawn_or_none(name, partial(draw, analysis)) for name, draw in figures.items()}
    return {name: figure for name, figure in made.items() if figure is not None}


def _styles(analysis: StudyAnalysis) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, name in enumerate(analysis.config.names):
        yield name, {"color": COLORS[index % len(COLORS)], "marker": MARKERS[index % len(MARKERS)], "label": name}


def _new(xlabel: str, ylabel: str) -> tuple[Figure, Any]:
    figure, (axes,) = panels(size=(WIDTH, HEIGHT))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    return figure, axes


def _legend(figure: Figure, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        columns = 3 if max(map(len, labels)) < 14 else 2 if max(map(len, labels)) < 24 else 1
        figure.legend(handles, labels, loc="outside upper left", ncols=columns, frameon=False, fontsize=8.5)


def differences(analysis: StudyAnalysis) -> Figure | None:
    """Draw each candidate's difference to the baseline, in the colour of the decision."""
    rows = [(n, d) for n in analysis.ranking if (d := analysis.pairs.get((n, analysis.config.baseline))) is not None]
    if not rows:
        return None
    scale = Scale(analysis.metric)
    factor = 100 if scale.percent else 1
    unit = "points" if scale.percent else "units"
    figure, axes = _new("", "")
    figure.supxlabel(f"{unit} of {analysis.metric} against {analysis.config.baseline}", fontsize=10)
    figure.set_size_inches(WIDTH, 1.3 + 0.5 * len(rows))
    for place, (_, pair) in enumerate(reversed(rows)):
        _difference(axes, analysis, pair, place, factor)
    axes.axvline(0, color="black", linewidth=1)
    axes.axvspan(-factor * analysis.delta, factor * analysis.delta, color="#009E73", alpha=0.10, linewidth=0)
    axes.set_yticks(range(len(rows)), [f"{name}\n{pair.decision}" for name, pair in reversed(rows)], fontsize=8.5)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    better = "larger is better" if analysis.config.larger_is_better else "smaller is better"
    axes.set_title(f"green: practically equal;  {better}", fontsize=8.5, loc="right", color=MUTED)
    return figure


def _difference(axes: Any, analysis: StudyAnalysis, pair: Pair, place: int, factor: float) -> None:
    """Draw one row: the rounds as dots, the mean, and the interval, in the colour of the decision."""
    scale, group, color = Scale(analysis.metric), analysis.config.names.index(pair.name), DECISIONS[pair.decision]
    for number, value in analysis.round_differences(pair.name, pair.other).items():
        dot = axes.plot([factor * value], [place + 0.18], ".", color=color, alpha=0.55, markersize=6)[0]
        hover(dot, f"{pair.name}, round {number + 1}: {scale.difference(value)}", group)
    interval = f"{pair.name}: {pair.decision}, {scale.interval(pair.mean, pair.low, pair.high)}"
    ends, middle = [factor * pair.low, factor * pair.high], [factor * pair.mean]
    hover(axes.plot(ends, [place] * 2, "|-", color=color, markersize=8)[0], interval, group)
    hover(axes.plot(middle, [place], "o", color=color, markersize=6)[0], interval, group)


def curves(analysis: StudyAnalysis, stage: str) -> Figure | None:
    """Draw the metric against steps: mean over the final runs and its 95 % interval; `stage` is `val` or `train`."""
    frame = curve_table(analysis).dropna(subset=[stage])
    if frame.empty:
        return None
    metric = analysis.config.metric
    metric = metric if stage == "val" else canonical(metric).replace("val/", "train/", 1)
    figure, axes = _new("optimizer steps", metric)
    lowest, labels = math.inf, EndLabels(axes, analysis.config.names)
    for name, style in _styles(analysis):
        own = frame[frame["candidate"] == name]
        table = own.pivot_table(index="validation", columns="index", values=stage).dropna()
        if table.empty:
            continue
        steps = own.groupby("validation")["step"].median().loc[table.index]
        every = max(1, len(steps) // 8)
        mean = table.mean(axis=1)
        line = axes.plot(steps, mean, markersize=4, markevery=every, linewidth=1.4, **style)[0]
        labels.add(name, float(mean.iloc[-1]), style["color"], line, Scale(metric).value(float(mean.iloc[-1])))
        if table.shape[1] > 1:
            _, low, high = t_interval(table.to_numpy())
            band = axes.fill_between(steps, low, high, color=style["color"], alpha=0.15, linewidth=0)
            hover(band, f"{name}: 95 % interval of the mean", labels.groups[name])
        lowest = min(lowest, float(table.min().min()))
    if analysis.target is not None and stage == "val":
        axes.axhline(analysis.target, color="black", linestyle=":", linewidth=1)
        labels.add("target", analysis.target, "black")
    _format_scores(axes, analysis, frame[stage].to_numpy(dtype=float), lowest)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    labels.write()
    return figure


def _format_scores(axes: Any, analysis: StudyAnalysis, values: Any, lowest: float) -> None:
    """Write accuracies as percentages, and use a log axis for errors that span more than a factor of 10."""
    if Scale(analysis.metric).percent:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    elif not analysis.config.larger_is_better and lowest > 0 and np.nanmax(values) / lowest > 10:
        axes.set_yscale("log")


def sensitivity(analysis: StudyAnalysis) -> Figure | None:
    """Draw the score against the tuned value, one point per trial; diverged trials are crosses at the bottom."""
    keys = [key for name in analysis.config.names for key in analysis.config.search_of(name)]
    if not keys or analysis.trials < 2:
        return None
    key = max(set(keys), key=keys.count)
    figure, axes = _new(f"{key.rpartition('.')[2]} (log axis)", analysis.config.metric)
    scores, better = [], 1 if analysis.config.larger_is_better else -1
    for number, (name, style) in enumerate(_styles(analysis)):
        trials = [
            (point[key], score)
            for history in analysis.progress.histories(name)
            for point, score in history
            if key in point
        ]
        trials.sort(key=itemgetter(0))  # the same value may have a score in one round, and none in another
        good = [(value, score) for value, score in trials if score is not None]
        scores += [score for _, score in good]
        if good:
            line = "none" if len(analysis.progress.histories(name)) > 1 else "-"
            drawn = axes.plot(*zip(*good, strict=True), linewidth=1.2, linestyle=line, markersize=5, **style)[0]
            hover(drawn, f"{name}: {len(good)} trials", number)
            axes.plot([], [], markersize=5, linestyle=line, **style)  # for the legend
        for chosen in analysis.progress.points(name):
            if key in chosen:
                at_chosen = [score for value, score in good if value == chosen[key]]
                best = max(at_chosen or [score for _, score in good], key=lambda score: better * score)
                ring = {"marker": "o", "markersize": 11, "fillstyle": "none", "color": style["color"]}
                drawn = axes.plot([chosen[key]], [best], linestyle="none", **ring)[0]
                hover(drawn, f"{name}: chosen {chosen[key]:.3g}, {Scale(analysis.metric).value(best)}", number)
        failed = [value for value, score in trials if score is None]
        if failed:
            place = {"transform": axes.get_xaxis_transform(), "clip_on": False}
            axes.plot(failed, [0.02] * len(failed), "x", color=style["color"], markersize=7, **place)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_major_formatter(lambda value, _: written(value))
    axes.xaxis.set_minor_formatter(NullFormatter())
    _format_scores(axes, analysis, np.array(scores or [math.nan]), min(scores, default=math.inf))
    axes.set_title("ring: chosen;  ×: diverged or stopped", fontsize=8.5, loc="right", color=MUTED)
    _legend(figure, axes)
    return figure


def expected_best_curves(analysis: StudyAnalysis) -> Figure | None:
    """Draw the expected best validation score against the number of tuning trials."""
    found = {name: analysis.expected(name) for name in analysis.config.names}
    if max(map(len, found.values()), default=0) < 2:
        return None
    figure, axes = _new("tuning trials", f"expected best {analysis.config.metric}")
    labels = EndLabels(axes, analysis.config.names)
    for name, style in _styles(analysis):
        if found[name]:
            line = axes.plot(range(1, len(found[name]) + 1), found[name], linewidth=1.4, markersize=5, **style)[0]
            labels.add(name, found[name][-1], style["color"], line, Scale(analysis.metric).value(found[name][-1]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    values = np.array([value for curve in found.values() for value in curve])
    _format_scores(axes, analysis, values, float(values.min()))
    labels.write()
    return figure


def time_split(analysis: StudyAnalysis) -> Figure | None:
    """Draw the shares of data loading, forward, backward and optimizer step in the training time."""
    rows = {name: analysis.split(name) for name in reversed(analysis.config.names)}
    rows = {name: row for name, row in rows.items() if not math.isnan(row["step"])}
    if not rows:
        return None
    figure, axes = _new("share of training time, %", "")
    figure.set_size_inches(WIDTH, 1.3 + 0.36 * len(rows))
    start = np.zeros(len(rows))
    for phase, color in zip(PHASES, ("#BBBBBB", "#56B4E9", "#0072B2", "#E69F00"), strict=True):
        width = np.array([100 * row[phase] for row in rows.values()])
        axes.barh(range(len(rows)), width, left=start, color=color, label=phase, height=0.62)
        start += width
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_xlim(0, 100)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4, frameon=False, fontsize=8.5)
    return figure
