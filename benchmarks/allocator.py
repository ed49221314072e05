"""What the allocator brings: the same training in processes with glibc's settings and with ours, in turn.

    python -m benchmarks.allocator [--rounds 5] [--networks ResNet8 ResNet18Cifar] [--out FOLDER]
    python -m benchmarks.allocator --memory      # resident memory over 60 steps with evaluations between

Each contestant is a process of its own, since the settings must be there before torch is; one thread, bf16 autocast,
channels_last. The first three steps of a process are not counted. Ratios of processor time: geometric mean with its
95 % interval.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.paired import keep, machine_line, paired_ratio
from descent.allocator import CHOICES, FOR_CHILDREN, SWITCH

BATCHES = {"ResNet8": ((500, 4), (1000, 3), (2000, 2)), "ResNet18Cifar": ((128, 4), (256, 4))}  # with steps
WARM_UP = 3  # steps in which the heap still grows: slower with huge pages, which the system has to clear


class Row(NamedTuple):
    """A network and batch size: how many times as fast with our settings, and what the memory does."""

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
    """Memory after a step."""

    allocator: str
    step: int
    megabytes: int


def process(choice: str, network: str, batch: int, steps: int, evaluation: int = 0) -> dict[str, Any]:
    """Run a contestant."""
    plain = {name: value for name, value in os.environ.items() if name not in FOR_CHILDREN}
    words = [network, *(str(number) for number in (batch, steps, evaluation))]
    command = [sys.executable, "-m", "benchmarks.allocator_contestant", *words]
    ended = subprocess.run(command, env=plain | {SWITCH: choice}, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def compare(network: str, batch: int, steps: int, rounds: int) -> Row:
    """Let the two take turns."""
    times: dict[str, list[float]] = {choice: [] for choice in CHOICES}
    faults: dict[str, list[float]] = {choice: [] for choice in CHOICES}
    peaks = {}
    for number in range(rounds):
        for choice in CHOICES if number % 2 else reversed(CHOICES):
            found = process(choice, network, batch, steps + WARM_UP)
            counted = found["steps"][WARM_UP:]
            times[choice].append(statistics.median(step["cpu"] for step in counted))
            faults[choice].append(statistics.median(step["faults"] for step in counted))
            peaks[choice] = found["peak"]
    ratio = paired_ratio(times["system"], times["tuned"])
    rate = batch / statistics.median(times["tuned"])
    before, after = (statistics.median(faults[choice]) for choice in ("system", "tuned"))
    return Row(network, batch, *ratio, rate, before, after, peaks["system"], peaks["tuned"])  # type: ignore[call-arg]


def memory(steps: int, out: Path) -> None:
    """Resident memory step by step, kept and drawn."""
    rows = [
        Resident(choice, number, step["resident"])
        for choice in CHOICES
        for number, step in enumerate(process(choice, "ResNet8", 250, steps, evaluation=1000)["steps"])
    ]
    keep(rows, out / "allocator_memory.csv")
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for choice in CHOICES:
        mine = [row for row in rows if row.allocator == choice]
        axes.plot([row.step for row in mine], [row.megabytes for row in mine], label=f"{choice} allocator")
        print(f"{choice}: {mine[1].megabytes} MB after 2 steps, {mine[-1].megabytes} MB after {steps}")
    axes.set(xlabel="training step (every tenth is followed by an evaluation)", ylabel="resident memory / MB")
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(out / "allocator_memory.png", dpi=120)
    plt.close(figure)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", choices=list(BATCHES), default=list(BATCHES))
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--steps", type=int, default=60, help="of --memory")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/allocator"))
    arguments = parser.parse_args()
    if arguments.memory:
        arguments.out.mkdir(parents=True, exist_ok=True)
        memory(arguments.steps, arguments.out)
        return
    print(machine_line())
    for network in arguments.networks:
        rows = []
        for batch, steps in BATCHES[network]:
            rows.append(compare(network, batch, steps, arguments.rounds))
            row = rows[-1]
            print(
                f"{network:14} batch {batch:5}  × {row.ratio:.3f} ({row.low:.3f} to {row.high:.3f})"
                f"  faults a step {row.faults_system:9,.0f} → {row.faults_tuned:7,.0f}"
                f"  peak {row.peak_mb_system:,.0f} → {row.peak_mb_tuned:,.0f} MB",
                flush=True,
            )
        keep(rows, arguments.out / f"allocator_{network}.csv")


if __name__ == "__main__":
    main()
