"""What a training step costs beside the arithmetic: a bare loop, Lightning, Lightning with logs, this project.

    python -m benchmarks.overhead [--task mlp | resnet8] [--rounds 12] [--out FOLDER]

The same network, optimizer and plain DataLoader for all, one process, one thread, processor time; the contestants take
turns, in another order each round. A ratio is the geometric mean over the rounds with its 95 % interval.
"""

import argparse
import logging
import random
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

from descent.allocator import tune_allocator

tune_allocator()  # for all of them: this is no question of memory

import torch  # noqa: E402  after the allocator

from benchmarks.overhead_contestants import (  # noqa: E402
    Contestant,
    bare,
    nothing_on,
    nothing_on_without_nvml,
    ours,
    quietly,
    usual,
)
from benchmarks.paired import keep, machine_line, paired_ratio  # noqa: E402

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
    """A contestant's step."""

    task: str
    who: str
    milliseconds: float
    ratio: float
    low: float
    high: float
    rounds: int


def measure(task: str, rounds: int, samples: int) -> list[Row]:
    """Let them take turns."""
    names = [name for name in CONTESTANTS if task == "mlp" or name in (REFERENCE, "ours, everything on")]
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in random.Random(number).sample(names, len(names)):
            with tempfile.TemporaryDirectory() as folder:
                times[name].append(quietly(CONTESTANTS[name], task, samples, EPOCHS[task], Path(folder)))
        print(number, "  ".join(f"{name} {times[name][-1] * 1e3:.3f} ms" for name in names), flush=True)
    rows = []
    for name, values in times.items():
        ratio = paired_ratio(values, times[REFERENCE])
        rows.append(Row(task, name, statistics.median(values) * 1e3, *ratio))
    return rows


def plot(rows: list[Row], file: Path) -> None:
    """A bar a contestant."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.5 * len(rows) + 1.2), layout="constrained")
    spread = [[row.ratio - row.low for row in rows], [row.high - row.ratio for row in rows]]
    bars = axes.barh([row.who for row in rows], [row.ratio for row in rows], xerr=spread, color="#4878a8")
    axes.bar_label(bars, [f"{row.ratio:.2f}" for row in rows], padding=6, backgroundcolor="white")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(
        xlabel=f"step time as a multiple of {REFERENCE} (geometric mean, 95 %)",
        title=f"a training step of the {rows[0].task} network",
    )
    axes.margins(x=0.12)
    axes.invert_yaxis()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=list(SAMPLES), default="mlp")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--samples", type=int, help="in an epoch")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/overhead"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    rows = measure(arguments.task, arguments.rounds, arguments.samples or SAMPLES[arguments.task])
    print(f"\n{machine_line()}, {arguments.rounds} rounds, {arguments.task}")
    for row in rows:
        print(f"{row.who:28} {row.milliseconds:9.3f} ms  × {row.ratio:.3f} ({row.low:.3f} to {row.high:.3f})")
    keep(rows, arguments.out / f"overhead_{arguments.task}.csv")
    plot(rows, arguments.out / f"overhead_{arguments.task}.png")


if __name__ == "__main__":
    main()
