"""Time of an optimizer step: ours against the class underneath, torch's other implementations and other libraries.

    python -m benchmarks.optimizers [--layouts 12] [--rounds 5] [--networks resnet18 vit_tiny] [--out FOLDER]

The parameters are those of ResNet-18 and a ViT-tiny, with random gradients; the same values for all, one process, one
thread, CPU time (so other programs may run). The memory addresses of the tensors change the time by up to 3 %, so all
contestants are built several times in a new order (`--layouts`); each time they run in turns for some rounds.

`ours` is what a run does at each step: the optimizer that `build_optimizer` makes, the count of real steps, and a
schedule with warm-up and cosine. `underneath` is the same class with the same implementation and nothing else. The
ratio is the geometric mean over the layouts of ours / theirs (medians of the rounds) with its 95 % interval: below 1
ours is faster. pytorch-optimizer is included if it is installed.
"""

import functools
import logging
import random
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.common.command_line import machine_line, parser, write_csv
from benchmarks.common.paired import in_turns, paired_ratio
from benchmarks.optimizers.contestants import NETWORKS, Step, contestants
from foundation.figure_style import COLORS, grid, save

PRESETS = ("sgd_momentum", "adamw", "rmsprop", "lamb", "lion", "muon")
MARKERS = "osD^vP"
TICKS = (0.3, 0.4, 0.5, 0.7, 1, 1.3)


class Row(NamedTuple):
    """Time of a contestant, and the ratio of ours to it."""

    network: str
    preset: str
    who: str
    milliseconds: float
    ratio: float
    low: float
    high: float


def race(network: str, preset: str, layouts: int, rounds: int) -> list[Row]:
    """Time every contestant in turns, in several memory layouts."""
    makers = contestants(preset, NETWORKS[network])
    seconds: dict[str, list[float]] = {who: [] for who in makers}
    shuffle = random.Random(0)
    for _ in range(layouts):
        steps = {who: makers[who]() for who in shuffle.sample(list(makers), len(makers))}
        timed = {who: functools.partial(seconds_of, step) for who, step in steps.items()}
        for who, times in in_turns(timed, rounds, warm_up=1, shuffle=True).items():  # the first step makes the state
            seconds[who].append(statistics.median(times))
    rows = []
    for who, times in seconds.items():
        ratio = paired_ratio(seconds["ours"], times)
        rows.append(Row(network, preset, who, statistics.median(times) * 1e3, ratio.middle, ratio.low, ratio.high))
    return rows


def seconds_of(step: Step) -> float:
    """Return the CPU seconds of a step."""
    start = time.process_time()
    step()
    return time.process_time() - start


def main(args: list[str] | None = None) -> None:
    """Measure and print; with `--out`, write a table and a figure."""
    options = parser(__doc__, rounds=5)
    options.add_argument("--layouts", type=int, default=12, help="how often all contestants are built")
    options.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    options.add_argument("--presets", nargs="+", default=list(PRESETS))
    options.add_argument("--out", type=Path, help="folder for optimizers.csv, .png and .svg")
    given = options.parse_args(args)
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    print(f"{machine_line()}, 1 thread, {given.layouts} layouts × {given.rounds} rounds")
    rows = []
    for network in given.networks:
        for preset in given.presets:
            for row in race(network, preset, given.layouts, given.rounds):
                rows.append(row)
                interval = f"{row.ratio:.3f} [{row.low:.3f}, {row.high:.3f}]" if row.who != "ours" else ""
                cells = f"{row.network:9} {row.preset:13} {row.who:18} {row.milliseconds:8.2f} ms"
                print(f"{cells}  {interval}", flush=True)
    if given.out:
        write_csv(rows, given.out / "optimizers.csv")
        save(figure_of(rows), given.out, "optimizers")


def figure_of(rows: list[Row]) -> Figure:
    """Draw the ratio of our step to each other one, one panel per network."""
    networks, presets = list(dict.fromkeys(r.network for r in rows)), list(dict.fromkeys(r.preset for r in rows))
    others = [who for who in dict.fromkeys(r.who for r in rows) if who != "ours"]
    figure, panels = grid(len(networks), columns=2, size=(4.8, 4.0))
    for axes, network in zip(panels, networks, strict=True):
        for row in (r for r in rows if r.network == network and r.who != "ours"):
            which = others.index(row.who)
            place = presets.index(row.preset) + 0.13 * (which - (len(others) - 1) / 2)
            look: dict[str, Any] = {"fmt": MARKERS[which], "color": COLORS[which], "markersize": 5, "capsize": 2}
            axes.errorbar(row.ratio, place, xerr=[[row.ratio - row.low], [row.high - row.ratio]], **look)
        axes.axvline(1, color="black", linewidth=1)
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes.minorticks_off()
        axes.set_yticks(range(len(presets)), presets)
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
        axes.set_title(network)
    figure.supxlabel("CPU time of our step / of theirs (log axis); below 1 ours is faster", fontsize=10)
    marks = [Line2D([], [], linestyle="", marker=MARKERS[i], color=COLORS[i], label=w) for i, w in enumerate(others)]
    figure.legend(handles=marks, loc="outside upper center", ncols=3, frameon=False)
    return figure


if __name__ == "__main__":
    main()
