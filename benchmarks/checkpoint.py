"""Time and memory of a save: Lightning's default beside ours, and beside ours in the background; ResNet-18 with AdamW.

    python benchmarks/checkpoint.py --rounds 15

The three save the same checkpoint in turn, in one process; printed are medians and the median of the paired ratios.
`waits` is how long the training thread stands still. The peak of memory is that of a fresh process that saves once,
above what it had before.
"""

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torchvision
from lightning.pytorch.plugins.io import TorchCheckpointIO

from callbacks import BackgroundCheckpointIO, DurableCheckpointIO

KINDS: dict[str, Callable[[], TorchCheckpointIO]] = {
    "lightning": TorchCheckpointIO,
    "durable": DurableCheckpointIO,
    "background": BackgroundCheckpointIO,
}


def checkpoint() -> dict[str, Any]:
    """Weights and moments of ResNet-18 after one step of AdamW."""
    network = torchvision.models.resnet18(num_classes=10)
    optimizer = torch.optim.AdamW(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return {"state_dict": network.state_dict(), "optimizer_states": [optimizer.state_dict()], "epoch": 0}


def save_time(io: TorchCheckpointIO, content: dict[str, Any], path: Path) -> tuple[float, float]:
    """Seconds that the caller waits, and until the file is there."""
    start = time.perf_counter()
    io.save_checkpoint(content, path)
    waits = time.perf_counter() - start
    if isinstance(io, BackgroundCheckpointIO):
        io.wait()
    return waits, time.perf_counter() - start


def fsync_time(folder: Path, size: int) -> float:
    """Seconds that an fsync of so many fresh bytes takes on this disk: what durability costs at least."""
    descriptor = os.open(folder / "probe", os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, bytes(size))
    start = time.perf_counter()
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - start


def memory(kind: str, folder: Path) -> float:
    """Peak MB above the start in a fresh process."""
    command = [sys.executable, __file__, "--memory-of", kind, "--folder", str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def print_memory(kind: str, folder: Path) -> None:
    """In the fresh process."""
    content = checkpoint()
    io = KINDS[kind]()
    save_time(io, {"epoch": 0}, folder / "small.ckpt")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that of now
    before = peak()
    save_time(io, content, folder / f"{kind}.ckpt")
    print((peak() - before) / 1024)


def peak() -> int:
    """Largest resident memory since it was reset, in kB; Linux."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--memory-of", choices=list(KINDS), default=None)
    options = parser.parse_args()
    if options.memory_of:
        print_memory(options.memory_of, options.folder)
        return
    with TemporaryDirectory(dir=options.folder) as name:
        report(options.rounds, Path(name))


def report(rounds: int, folder: Path) -> None:
    """Measure in turn and print."""
    content = checkpoint()
    seconds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    syncs = []
    ios = {kind: make() for kind, make in KINDS.items()}
    for _ in range(rounds):
        for kind in KINDS:
            seconds[kind].append(save_time(ios[kind], content, folder / f"{kind}.ckpt"))
        syncs.append(fsync_time(folder, (folder / "durable.ckpt").stat().st_size))
    size = (folder / "durable.ckpt").stat().st_size / 1e6
    print(f"{platform.platform()}, torch {torch.__version__}, {size:.0f} MB, {rounds} rounds")
    print(f"fsync of as many bytes alone: {statistics.median(syncs) * 1e3:.0f} ms")
    print(f"{'':<12}{'waits ms':>10}{'ratio':>8}{'on disk ms':>12}{'peak MB':>9}")
    for kind, times in seconds.items():
        waits, done = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
        pairs = zip(times, seconds["lightning"], strict=True)
        ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
        print(f"{kind:<12}{waits:>10.0f}{ratio:>8.2f}{done:>12.0f}{memory(kind, folder):>9.0f}")


if __name__ == "__main__":
    main()
