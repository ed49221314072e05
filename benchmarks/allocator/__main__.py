"""Speed and memory of training with glibc's default allocator settings and with ours, in turns.

    python -m benchmarks.allocator [--rounds 5] [--networks ResNet8 ResNet18Cifar] [--out FOLDER]
    python -m benchmarks.allocator --memory      # resident memory over 60 steps with evaluations between them

Each contestant is a process of its own, because the settings must be made before torch is loaded; one thread, bf16
autocast, channels_last. The first three steps of a process are not counted. Ratios are of processor time: geometric
mean over the rounds with its 95 % interval.
"""

import json
import statistics
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common.command_line import RESULTS, machine_line, parser, write_csv
from benchmarks.common.paired import in_turns, paired_ratio
from benchmarks.common.processes import environment_with_allocator, run_python
from descent.allocator import CHOICES
from foundation.figure_style import legend, panels

BATCHES = {"ResNet8": ((500, 4), (1000, 3), (2000, 2)), "ResNet18Cifar": ((128, 4), (256, 4))}  # batch size, steps
WARM_UP = 3  # steps in which the heap still grows: they are slower with huge pages, which the system must clear


class Row(NamedTuple):
    """Speed-up by our settings for one network and batch size, page faults per step, and peak memory."""

    network: str
    batch: int
    ratio: float
    low: float
    high: float
    rounds: int
    images_per_second: float
    faults_system: float
    faults_tuned: float
    peak_mb_system: float
    peak_mb_tuned: float


class Resident(NamedTuple):
    """Resident memory after a step."""

    allocator: str
    step: int
    megabytes: int


def process(choice: str, network: str, batch: int, steps: int, evaluation: int = 0) -> dict[str, Any]:
    """Run a contestant in a process of its own."""
    words = ["-m", "benchmarks.allocator.contestant", network, str(batch), str(steps), str(evaluation)]
    found: dict[str, Any] = json.loads(run_python(words, environment=environment_with_allocator(choice)))
    return found


def compare(network: str, batch: int, steps: int, rounds: int) -> Row:
    """Measure both allocators in turns."""
    faults: dict[str, list[float]] = {choice: [] for choice in CHOICES}
    peaks = {}

    def seconds(choice: str) -> float:
        found = process(choice, network, batch, steps + WARM_UP)
        counted = found["steps"][WARM_UP:]
        faults[choice].append(statistics.median(step["faults"] for step in counted))
        peaks[choice] = found["peak"]
        return float(statistics.median(step["cpu"] for step in counted))

    times = in_turns({choice: partial(seconds, choice) for choice in reversed(CHOICES)}, rounds)
    ratio = paired_ratio(times["system"], times["tuned"])
    rate = batch / statistics.median(times["tuned"])
    before, after = (statistics.median(faults[choice]) for choice in ("system", "tuned"))
    return Row(network, batch, *ratio, rate, before, after, peaks["system"], peaks["tuned"])  # type: ignore[call-arg]


def memory(steps: int, out: Path) -> None:
    """Measure the resident memory step by step; write it and draw it."""
    rows = [
        Resident(choice, number, step["resident"])
        for choice in CHOICES
        for number, step in enumerate(process(choice, "ResNet8", 250, steps, evaluation=1000)["steps"])
    ]
    write_csv(rows, out / "allocator_memory.csv")
    figure, (axes,) = panels(size=(7, 3.2))
    for choice in CHOICES:
        own = [row for row in rows if row.allocator == choice]
        axes.plot([row.step for row in own], [row.megabytes for row in own], label=f"{choice} allocator")
        print(f"{choice}: {own[1].megabytes} MB after 2 steps, {own[-1].megabytes} MB after {steps}")
    axes.set(xlabel="training step (every tenth is followed by an evaluation)", ylabel="resident memory / MB")
    axes.set_ylim(bottom=0)
    legend(axes)
    figure.savefig(out / "allocator_memory.png", dpi=120)


def main() -> None:
    """Measure, print, write."""
    options = parser(__doc__, rounds=5, out=RESULTS / "allocator")
    options.add_argument("--networks", nargs="+", choices=list(BATCHES), default=list(BATCHES))
    options.add_argument("--memory", action="store_true", help="measure resident memory instead of speed")
    options.add_argument("--steps", type=int, default=60, help="steps with --memory")
    arguments = options.parse_args()
    if arguments.memory:
        memory(arguments.steps, arguments.out)
        return
    print(machine_line())
    for network in arguments.networks:
        rows = []
        for batch, steps in BATCHES[network]:
            row = compare(network, batch, steps, arguments.rounds)
            rows.append(row)
            print(
                f"{network:14} batch {batch:5}  × {row.ratio:.3f} ({row.low:.3f} to {row.high:.3f})"
                f"  faults per step {row.faults_system:9,.0f} → {row.faults_tuned:7,.0f}"
                f"  peak {row.peak_mb_system:,.0f} → {row.peak_mb_tuned:,.0f} MB",
                flush=True,
            )
        write_csv(rows, arguments.out / f"allocator_{network}.csv")


if __name__ == "__main__":
    main()
