"""Time to help and to the first training step, against a bare LightningCLI script.

    python -m benchmarks.startup [--rounds 7] [--out FOLDER]

Each contestant is a process, from its start to its end, in processor time; they take turns. A ratio is the geometric
mean over the rounds with its 95 % interval.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.paired import keep, machine_line, paired_ratio

ROOT = Path(__file__).parents[1]
BARE = ["-m", "benchmarks.startup_bare"]
STOP = ["--trainer.accelerator", "cpu", "--trainer.callbacks", "benchmarks.startup_bare.EndOfFirstStep"]
CONTESTANTS = {
    "first step, bare LightningCLI": [*BARE, "fit"],
    "first step, descent": ["-m", "cli", "fit", "-c", "configs/quickstart.yaml", *STOP],
    "help, bare LightningCLI": [*BARE, "--help"],
    "help, descent": ["-m", "cli", "--help"],
    "imports alone": ["-c", "import torch, lightning.pytorch.cli"],
}
REFERENCES = {"first step, descent": "first step, bare LightningCLI", "help, descent": "help, bare LightningCLI"}


class Row(NamedTuple):
    """A process."""

    who: str
    seconds: float
    ratio: float
    low: float
    high: float
    rounds: int


def process(words: list[str], folder: str) -> float:
    """Processor seconds of a process and what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *words], cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int) -> list[Row]:
    """Let them take turns, after one round that is not counted: it fills the file cache and writes bytecode."""
    times: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            for name, words in CONTESTANTS.items():
                seconds = process(words, folder)
                if number:
                    times[name].append(seconds)
    rows = []
    for name, values in times.items():
        ratio = paired_ratio(values, times[REFERENCES.get(name, name)])
        rows.append(Row(name, statistics.median(values), *ratio))  # type: ignore[call-arg]
    return rows


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/startup"))
    arguments = parser.parse_args()
    rows = measure(arguments.rounds)
    print(machine_line())
    for row in rows:
        print(f"{row.who:30} {row.seconds:7.3f} s  × {row.ratio:.3f} ({row.low:.3f} to {row.high:.3f})")
    keep(rows, arguments.out / "startup.csv")


if __name__ == "__main__":
    main()
