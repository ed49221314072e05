"""Check on a real GPU what the tests prove without one, and print a table to paste into an issue.

    python -m benchmarks.gpu [--only WORD ...] [--seconds 600] [--list]

The checks train each task for a few steps on the GPU and on the CPU and compare the losses, in every precision; count
how often the host waits for the GPU; resume killed runs bit by bit; move checkpoints between GPU and CPU; compare
losses, optimizers and augmentations with the CPU's. With two GPUs they also train with DDP, FSDP1 and FSDP2. None
starts after `--seconds`. Exit code 0: all that ran are right; 1: at least one is not; 2: there is no GPU.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable

import torch

from benchmarks.common.command_line import machine_line, parser
from benchmarks.gpu.checks import CHECKS
from benchmarks.gpu.fits import ROOT
from benchmarks.gpu.two_devices import CHECKS_OF_TWO

Row = tuple[str, str, str, float]
FEW = "not run: it needs two GPUs"
LATE = "not run: the time was over"


def run(name: str, check: Callable[[], str]) -> Row:
    """Run a check; return its name, "right" or "WRONG", what it found, and its seconds."""
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, verdict = check(), "right"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        found, verdict = f"{type(error).__name__}: {lines[-1].strip() if lines else ''}"[:300], "WRONG"
    return name, verdict, found, time.perf_counter() - start


def rows(words: list[str], seconds: float) -> list[Row]:
    """Run the checks whose names hold one of these words, or all; print each line as soon as it is known."""
    end, found = time.perf_counter() + seconds, []
    for name, check in (CHECKS | CHECKS_OF_TWO).items():
        if words and not any(word in name for word in words):
            continue
        if name in CHECKS_OF_TWO and torch.cuda.device_count() < 2:
            row: Row = (name, "-", FEW, 0.0)
        elif time.perf_counter() > end:
            row = (name, "-", LATE, 0.0)
        else:
            row = run(name, check)
        found.append(row)
        print(f"| {row[0]} | {row[1]} | {row[2].replace('|', '/')} | {row[3]:.1f} |", flush=True)
    return found


def main() -> int:
    """Run the checks; return the exit code."""
    options = parser(__doc__)
    options.add_argument("--only", action="append", default=[], help="run the checks whose names hold this word")
    options.add_argument("--seconds", type=float, default=600, help="start no check after this time (default 600)")
    options.add_argument("--list", action="store_true", help="print the names of the checks")
    chosen = options.parse_args()
    if chosen.list:
        print("\n".join(CHECKS | CHECKS_OF_TWO))
        return 0
    if not torch.cuda.is_available():
        print("error: there is no NVIDIA GPU that torch can use (torch.cuda.is_available() is false).", file=sys.stderr)
        return 2
    logging.disable(logging.INFO)
    print(
        f"{torch.cuda.get_device_name(0)} × {torch.cuda.device_count()}, CUDA {torch.version.cuda}; {machine_line()}\n"
    )
    print("| check | result | found | s |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="gpu-checks-") as folder:
        os.chdir(folder)
        found = rows(chosen.only, chosen.seconds)
        os.chdir(ROOT)
    count = {verdict: sum(row[1] == verdict for row in found) for verdict in ("right", "WRONG", "-")}
    print(f"\n{count['right']} right, {count['WRONG']} wrong, {count['-']} not run.")
    return int(count["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main())
