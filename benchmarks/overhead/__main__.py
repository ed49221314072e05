"""Cost of a training step beside the arithmetic: a bare loop, Lightning, Lightning with logging, this project.

    python -m benchmarks.overhead [--task mlp | resnet8] [--rounds 12] [--out FOLDER]

All use the same network, optimizer and plain DataLoader; one process, one thread, processor time. They run in turns, in
a random order each round. A ratio is the geometric mean over the rounds with its 95 % interval.
"""

import logging
import statistics
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

from descent.allocator import tune_allocator
from foundation.figure_style import COLORS, panels

tune_allocator()  # for all contestants, before torch is imported

import torch  # noqa: E402

from benchmarks.common.command_line import RESULTS, machine_line, parser, write_csv  # noqa: E402
from benchmarks.common.paired import in_turns, paired_ratio  # noqa: E402
from benchmarks.overhead.contestants import (  # noqa: E402
    Contestant,
    bare,
    nothing_on,
    nothing_on_without_nvml,
    ours,
    quietly,
    usual,
)

REFERENCE = "Lightning, nothing on"
CONTESTANTS: dict[str, Contestant] = {
    "bare loop": bare,
    REFERENCE: nothing_on,
    "the same, NVML not asked": nothing_on_without_nvml,
    "Lightning, the usual way": usual,
    "ours, everything on": ours,
}
SAMPLES = {"mlp": 25_600, "resnet8": 2_500}
EPOCHS = {"mlp": 3, "resnet8": 2}


class Row(NamedTuple):
    """Time of a contestant's step."""

    task: str
    who: str
    milliseconds: float
    ratio: float
    low: float
    high: float
    rounds: int


def measure(task: str, rounds: int, samples: int) -> list[Row]:
    """Measure the contestants in turns; the large network only against the reference."""
    names = [name for name in CONTESTANTS if task == "mlp" or name in (REFERENCE, "ours, everything on")]

    def step_seconds(name: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            seconds = quietly(CONTESTANTS[name], task, samples, EPOCHS[task], Path(folder))
        print(f"{name} {seconds * 1e3:.3f} ms", flush=True)
        return seconds

    times = in_turns({name: partial(step_seconds, name) for name in names}, rounds, shuffle=True)
    return [
        Row(task, name, statistics.median(values) * 1e3, *paired_ratio(values, times[REFERENCE]))
        for name, values in times.items()
    ]


def plot(rows: list[Row], file: Path) -> None:
    """Draw one bar per contestant."""
    figure, (axes,) = panels(size=(8, 0.5 * len(rows) + 1.2))
    spread = [[row.ratio - row.low for row in rows], [row.high - row.ratio for row in rows]]
    bars = axes.barh([row.who for row in rows], [row.ratio for row in rows], xerr=spread, color=COLORS[0])
    axes.bar_label(bars, [f"{row.ratio:.2f}" for row in rows], padding=6, backgroundcolor="white")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(
        xlabel=f"step time as a multiple of {REFERENCE} (geometric mean, 95 %)",
        title=f"training step of the {rows[0].task} network",
    )
    axes.margins(x=0.12)
    axes.invert_yaxis()
    figure.savefig(file, dpi=120)


def main() -> None:
    """Measure, print, write."""
    options = parser(__doc__, rounds=12, out=RESULTS / "overhead")
    options.add_argument("--task", choices=list(SAMPLES), default="mlp")
    options.add_argument("--samples", type=int, help="samples per epoch")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    rows = measure(arguments.task, arguments.rounds, arguments.samples or SAMPLES[arguments.task])
    print(f"\n{machine_line()}, {arguments.rounds} rounds, {arguments.task}")
    for row in rows:
        print(f"{row.who:28} {row.milliseconds:9.3f} ms  × {row.ratio:.3f} ({row.low:.3f} to {row.high:.3f})")
    write_csv(rows, arguments.out / f"overhead_{arguments.task}.csv")
    plot(rows, arguments.out / f"overhead_{arguments.task}.png")


if __name__ == "__main__":
    main()
