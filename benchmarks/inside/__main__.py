"""Cost of diagnostics: training steps with and without our callbacks, and with Lightning's `grad_norm`.

    python -m benchmarks.inside NETWORK [--starts 6] [--rounds 1] [--out benchmarks/results/inside]

Each contestant is a complete `Trainer.fit` in a thread of its own, but only one thread runs at a time: they alternate
step by step (the MLP: every 10 steps), in a new random order each time, so that other load on the machine affects all
of them alike. The CPU time of the thread is measured from the start of one step to the start of the next, including the
logger. A round is 50 steps: one log and one sample of the diagnostics, which is their default. All contestants are
started several times, because the memory addresses of their tensors change the time by up to 4 %. The ratio is the
geometric mean over the starts of contestant / nothing, with its 95 % interval.

`nothing` is the same module without gradient norms; Descent's modules always compute them, and that is part of their
cost here. One thread, no clipping. The CSV keeps its rows of other networks, and the figure shows all rows.
"""

import contextlib
import csv
import ctypes
import io
import logging
import platform
import random
import statistics
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure

from benchmarks.common.command_line import RESULTS, machine_line, parser, write_csv
from benchmarks.common.paired import Ratio, paired_ratio
from benchmarks.inside.contestants import CONTESTANTS, NETWORKS, started
from foundation.figure_style import legend, panels

ROUND, WARM_UP = 50, 5  # steps
TARGETS = {"mlp": 1.15, "cnn": 1.05}  # for the upper end of the interval
M_ARENA_MAX = -8  # mallopt(3) of glibc


class Row(NamedTuple):
    """Time of a contestant's step, of one start."""

    network: str
    contestant: str
    start: int
    milliseconds_per_step: float


def measure(network: str, start: int, rounds: int, folder: Path) -> Iterator[Row]:
    """Start all contestants once, and measure them in turns."""
    steps, order, chance = NETWORKS[network][3], list(CONTESTANTS), random.Random(start)
    chance.shuffle(order)
    gates = {name: started(network, name, WARM_UP + ROUND * rounds + 1, folder) for name in order}
    seconds = {name: 0.0 * gates[name].run(WARM_UP) for name in CONTESTANTS}
    for _ in range(ROUND * rounds // steps):
        chance.shuffle(order)
        for name in order:
            seconds[name] += gates[name].run(steps)
    for name, spent in seconds.items():
        gates[name].end()
        yield Row(network, name, start, round(spent / ROUND / rounds * 1000, 5))


def ratios(rows: list[Row], network: str) -> dict[str, tuple[float, Ratio]]:
    """Compute the milliseconds per step of each contestant, and its ratio to nothing."""
    times: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for row in rows:
        if row.network == network:
            times[row.contestant].append(row.milliseconds_per_step)
    return {name: (statistics.median(own), paired_ratio(own, times["nothing"])) for name, own in times.items()}


def figure(rows: list[Row]) -> Figure:
    """Draw the ratios with their intervals, one panel per network."""
    networks = list(dict.fromkeys(row.network for row in rows))
    shown, drawn = panels(len(networks), size=(9, 1.2 + 1.9 * len(networks)))
    for axes, network in zip(drawn, networks, strict=True):
        found = {name: ratio for name, (_, ratio) in ratios(rows, network).items() if name != "nothing"}
        for place, (ratio, low, high, _) in enumerate(found.values()):
            axes.errorbar(ratio, place, xerr=[[ratio - low], [high - ratio]], fmt="o", color="#0072B2", capsize=3)
            axes.annotate(f"{ratio:.3f}", (high, place), (6, 0), textcoords="offset points", va="center", fontsize=8)
        axes.set_yticks(range(len(found)), found)
        axes.set(title=f"{network}: step time / step time with nothing", ylim=(len(found) - 0.5, -0.5))
        axes.axvline(1, color="black", linewidth=0.8)
        axes.axvline(TARGETS[network], color="#D55E00", linestyle="--", linewidth=1, label=f"target {TARGETS[network]}")
        axes.margins(x=0.1)
        legend(axes)
    return shown


def main() -> None:
    """Measure, print, write the CSV and the figure."""
    options = parser(__doc__, rounds=1, out=RESULTS / "inside")
    options.add_argument("network", choices=NETWORKS)
    options.add_argument("--starts", type=int, default=6, help="how often all contestants are started")
    arguments = options.parse_args()
    if platform.libc_ver()[0] == "glibc":  # else each thread, hence each contestant, has a different kind of heap
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, 1)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    print(machine_line(), "threads", torch.get_num_threads())
    path = arguments.out / "costs.csv"
    rows = [row for row in read(path) if row.network != arguments.network]
    with tempfile.TemporaryDirectory() as folder:
        for start in range(arguments.starts):
            with contextlib.redirect_stdout(io.StringIO()):  # the callbacks print reports
                rows += measure(arguments.network, start, arguments.rounds, Path(folder))
    for name, (milliseconds, ratio) in ratios(rows, arguments.network).items():
        print(f"{name:<26} {milliseconds:9.3f} ms  {ratio}")
    write_csv(rows, path, machine=False)
    figure(rows).savefig(arguments.out / "costs.png", dpi=110)


def read(path: Path) -> list[Row]:
    """Read the rows that were measured before."""
    if not path.exists():
        return []
    with path.open() as file:
        return [
            Row(row["network"], row["contestant"], int(row["start"]), float(row["milliseconds_per_step"]))
            for row in csv.DictReader(file)
        ]


if __name__ == "__main__":
    main()
