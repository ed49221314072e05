"""Time to the help text and to the first training step, against a bare LightningCLI script.

    python -m benchmarks.startup [--rounds 7] [--out FOLDER]

Each contestant is a process, measured from its start to its end in processor time; they run in turns. A ratio is the
geometric mean over the rounds with its 95 % interval.
"""

import resource
import statistics
import tempfile
from functools import partial
from typing import NamedTuple

from benchmarks.common.command_line import RESULTS, machine_line, parser, write_csv
from benchmarks.common.paired import in_turns, paired_ratio
from benchmarks.common.processes import run_python

BARE = ["-m", "benchmarks.startup.bare"]
STOP = ["--trainer.accelerator", "cpu", "--trainer.callbacks", "benchmarks.startup.bare.EndOfFirstStep"]
CONTESTANTS = {
    "first step, bare LightningCLI": [*BARE, "fit"],
    "first step, descent": ["-m", "cli", "fit", "-c", "configs/quickstart.yaml", *STOP],
    "help, bare LightningCLI": [*BARE, "--help"],
    "help, descent": ["-m", "cli", "--help"],
    "imports alone": ["-c", "import torch, lightning.pytorch.cli"],
}
REFERENCES = {"first step, descent": "first step, bare LightningCLI", "help, descent": "help, bare LightningCLI"}


class Row(NamedTuple):
    """Time of a contestant's process."""

    who: str
    seconds: float
    ratio: float
    low: float
    high: float
    rounds: int


def process(words: list[str], folder: str) -> float:
    """Run a process and return its processor seconds, with those of its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_python(words, folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int) -> list[Row]:
    """Measure in turns; a first round, which is not counted, fills the file cache and writes bytecode."""
    with tempfile.TemporaryDirectory() as folder:
        timed = {name: partial(process, words, folder) for name, words in CONTESTANTS.items()}
        times = in_turns(timed, rounds, warm_up=1)
    rows = []
    for name, values in times.items():
        ratio = paired_ratio(values, times[REFERENCES.get(name, name)])
        rows.append(Row(name, statistics.median(values), *ratio))  # type: ignore[call-arg]
    return rows


def main() -> None:
    """Measure, print, write."""
    arguments = parser(__doc__, rounds=7, out=RESULTS / "startup").parse_args()
    rows = measure(arguments.rounds)
    print(machine_line())
    for row in rows:
        print(f"{row.who:30} {row.seconds:7.3f} s  × {row.ratio:.3f} ({row.low:.3f} to {row.high:.3f})")
    write_csv(rows, arguments.out / "startup.csv")


if __name__ == "__main__":
    main()
