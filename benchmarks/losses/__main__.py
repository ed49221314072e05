"""Speed and peak memory of the losses, forward and backward, against other libraries' implementations.

    python -m benchmarks.losses [--rounds 15] [--out losses.csv]

The same tensors, one process, one thread, processor time (so other programs may run). The contestants run in turns; the
ratio is the median over the rounds of ours / theirs: below 1 ours is faster. Peak memory is the most that the CPU
allocator held during one forward and backward, minus what it held before. torchvision and timm are always installed;
other libraries are included if they are: `pip install monai segmentation-models-pytorch kornia`.
"""

import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.common.command_line import machine_line, parser, write_csv
from benchmarks.common.paired import in_turns, median_ratio
from benchmarks.losses.contestants import Race, Step, library, races


class Row(NamedTuple):
    """Time and memory of a contestant."""

    race: str
    shape: str
    who: str
    milliseconds: float
    spread: float  # half the interquartile range of the ratio
    ratio: float  # ours / theirs
    megabytes: float


def run(race: Race, step: Step) -> Tensor:
    """Run one forward and backward."""
    output = race.output.detach().requires_grad_()
    value = step(output, race.target)
    value.backward()  # type: ignore[no-untyped-call]
    return value.detach()


def seconds(race: Race, step: Step, repeats: int) -> float:
    """Return the processor seconds of one forward and backward."""
    start = time.process_time()
    for _ in range(repeats):
        run(race, step)
    return (time.process_time() - start) / repeats


def peak_bytes(race: Race, step: Step) -> int:
    """Return the peak memory of the allocator during one forward and backward, above the start."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as p:
        run(race, step)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        p.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    held = [(e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]"]
    now = peak = 0
    for _, change in sorted(held, key=lambda event: event[0]):
        now += change
        peak = max(peak, now)
    return peak


def compete(race: Race, rounds: int) -> list[Row]:
    """Measure the contestants of a race in turns."""
    repeats = max(1, round(0.02 / seconds(race, race.steps["ours"], 3)))
    times = in_turns({who: partial(seconds, race, step, repeats) for who, step in race.steps.items()}, rounds)
    rows = []
    for who, step in race.steps.items():
        middle, low, high = median_ratio(times["ours"], times[who])
        shape = " × ".join(map(str, race.output.shape))
        milliseconds, megabytes = statistics.median(times[who]) * 1e3, peak_bytes(race, step) / 2**20
        rows.append(Row(race.name, shape, who, milliseconds, (high - low) / 2, middle, megabytes))
    return rows


def main() -> None:
    """Measure all losses and print a table."""
    options = parser(__doc__, rounds=15)
    options.add_argument("--only", default="", help="only losses whose name contains this text")
    options.add_argument("--out", type=Path, help="CSV file of the results")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    peers = ("timm", "torchvision", "monai", "segmentation_models_pytorch", "kornia")
    versions = {name: getattr(library(name), "__version__", "-") for name in peers}
    print(machine_line(), versions, f"{arguments.rounds} rounds")
    rows = []
    for race in races():
        if arguments.only in race.name:
            for row in compete(race, arguments.rounds):
                rows.append(row)
                print(f"{row.race:30} {row.shape:18} {row.who:12} {row.milliseconds:8.3f} ms", end="  ")
                print(f"ours/theirs {row.ratio:5.2f} ± {row.spread:4.2f}  {row.megabytes:6.1f} MB")
    if arguments.out:
        write_csv(rows, arguments.out)


if __name__ == "__main__":
    main()
