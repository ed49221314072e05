"""Host time of a training step on a GPU: what the processor does while the device could compute.

    python -m benchmarks.host_time [--rounds 7] [--batch 500 2000] [--out FOLDER]

A trivial network, so that the device is never what limits. Without a GPU it runs on the phantom GPU of the tests, on
which a launch costs the host 2.5 µs, as on a usual machine. Processor time of the process: the lower quartile of the
steps of each fit after the first epoch, because other programs only make a step longer. The contestants run in turns,
in a random order. A ratio is the geometric mean over the rounds of the ratio to the loop by hand, with its 95 %
interval.
"""

import contextlib
import io
import logging
import os
import statistics
import sys
import warnings
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch

from benchmarks.common.command_line import RESULTS, machine_line, parser, write_csv
from benchmarks.common.paired import in_turns, paired_ratio
from benchmarks.host_time import contestants

REFERENCE = "loop by hand, data on the GPU"
CONTESTANTS = {
    REFERENCE: contestants.loop_on_device,
    "loop by hand, Descent's loader": contestants.loop_from_host,
    "Lightning barebones, data in host memory": contestants.barebones,
    "Lightning barebones, data on the GPU": contestants.barebones_resident,
    "Descent, everything on, data in host memory": contestants.descent_from_host,
    "Descent, everything on, data on the GPU": contestants.descent_on_device,
}
LAUNCH_NS = 2500


class Row(NamedTuple):
    """Host time of a contestant's step."""

    batch: int
    who: str
    milliseconds: float
    ratio: float
    low: float
    high: float
    rounds: int


def step_seconds(name: str, batch: int) -> float:
    """Run a contestant silently; return the lower quartile of its steps after the first epoch."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        times = CONTESTANTS[name](batch)[contestants.STEPS :]
    seconds = statistics.quantiles([after - before for before, after in pairwise(times)], n=4)[0]
    print(f"{batch} {name} {seconds * 1e3:.3f} ms", flush=True)
    return seconds


def measure(batch: int, rounds: int) -> list[Row]:
    """Measure the contestants in turns."""
    times = in_turns({name: partial(step_seconds, name, batch) for name in CONTESTANTS}, rounds, shuffle=True)
    return [
        Row(batch, name, statistics.median(values) * 1e3, *paired_ratio(values, times[REFERENCE]))
        for name, values in times.items()
    ]


def on_a_gpu() -> None:
    """Start this program again on the phantom GPU if there is no GPU."""
    from tests.phantom_gpu.build import missing
    from tests.phantom_gpu.device import environment

    if torch.cuda.is_available():
        return
    if missing():
        sys.exit(f"There is no GPU here, and no phantom GPU: {missing()}.")
    words = [sys.executable, "-m", "benchmarks.host_time", *sys.argv[1:]]
    os.execve(sys.executable, words, os.environ | environment(launch_ns=LAUNCH_NS))


def main() -> None:
    """Measure, print, write."""
    options = parser(__doc__, rounds=7, out=RESULTS / "host_time")
    options.add_argument("--batch", type=int, nargs="+", default=[500, 2000], help="batch sizes (500 2000)")
    arguments = options.parse_args()
    on_a_gpu()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    rows = [row for batch in arguments.batch for row in measure(batch, arguments.rounds)]
    print(f"\n{torch.cuda.get_device_name(0)}; {machine_line()}, {arguments.rounds} rounds")
    for row in rows:
        ratio = f"× {row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"
        print(f"{row.batch:5} {row.who:44} {row.milliseconds:7.3f} ms  {ratio}")
    write_csv(rows, arguments.out / "host_time.csv")


if __name__ == "__main__":
    main()
