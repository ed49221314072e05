"""Time and memory of a save: Lightning's default, ours, and ours in the background; ResNet-18 with AdamW.

    python -m benchmarks.checkpoints [--rounds 15]

The three save the same checkpoint in turns, in one process; printed are medians and the median of the paired ratios.
`waits` is how long the training thread is blocked. The memory is the peak of a new process that saves once, minus what
it used before.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torchvision
from lightning.pytorch.plugins.io import TorchCheckpointIO

from benchmarks.common.command_line import machine_line, parser
from benchmarks.common.paired import median_ratio
from benchmarks.common.processes import peak_bytes, reset_peak, run_python
from callbacks import BackgroundCheckpointIO, DurableCheckpointIO

KINDS: dict[str, Callable[[], TorchCheckpointIO]] = {
    "lightning": TorchCheckpointIO,
    "durable": DurableCheckpointIO,
    "background": BackgroundCheckpointIO,
}


def checkpoint() -> dict[str, Any]:
    """Make a checkpoint: weights and moments of ResNet-18 after one step of AdamW."""
    network = torchvision.models.resnet18(num_classes=10)
    optimizer = torch.optim.AdamW(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return {"state_dict": network.state_dict(), "optimizer_states": [optimizer.state_dict()], "epoch": 0}


def save_time(io: TorchCheckpointIO, content: dict[str, Any], path: Path) -> tuple[float, float]:
    """Return the seconds that the caller waits, and the seconds until the file is written."""
    start = time.perf_counter()
    io.save_checkpoint(content, path)
    waits = time.perf_counter() - start
    if isinstance(io, BackgroundCheckpointIO):
        io.wait()
    return waits, time.perf_counter() - start


def fsync_time(folder: Path, size: int) -> float:
    """Return the seconds of an fsync of so many new bytes on this disk: the least that durability costs."""
    descriptor = os.open(folder / "probe", os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, bytes(size))
    start = time.perf_counter()
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - start


def memory(kind: str, folder: Path) -> float:
    """Return the peak memory of a save in a new process, in MB above the start."""
    return float(run_python(["-m", "benchmarks.checkpoints", "--memory-of", kind, "--folder", str(folder)]).split()[-1])


def print_memory(kind: str, folder: Path) -> None:
    """Save in this process and print the additional memory."""
    content, io = checkpoint(), KINDS[kind]()
    save_time(io, {"epoch": 0}, folder / "small.ckpt")
    before = reset_peak()
    save_time(io, content, folder / f"{kind}.ckpt")
    print((peak_bytes() - before) / 2**20)


def main() -> None:
    """Print the table."""
    command = parser(__doc__, rounds=15)
    command.add_argument("--folder", type=Path, help="folder on the disk to be measured")
    command.add_argument("--memory-of", choices=list(KINDS), help="print the memory of one save of this kind")
    options = command.parse_args()
    if options.memory_of:
        print_memory(options.memory_of, options.folder)
        return
    with TemporaryDirectory(dir=options.folder) as name:
        report(options.rounds, Path(name))


def report(rounds: int, folder: Path) -> None:
    """Measure in turns and print."""
    content = checkpoint()
    seconds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    syncs = []
    ios = {kind: make() for kind, make in KINDS.items()}
    for _ in range(rounds):
        for kind in KINDS:
            seconds[kind].append(save_time(ios[kind], content, folder / f"{kind}.ckpt"))
        syncs.append(fsync_time(folder, (folder / "durable.ckpt").stat().st_size))
    size = (folder / "durable.ckpt").stat().st_size / 1e6
    print(f"{machine_line()}, {size:.0f} MB, {rounds} rounds")
    print(f"fsync of as many bytes alone: {statistics.median(syncs) * 1e3:.0f} ms")
    print(f"{'':<12}{'waits ms':>10}{'ratio':>8}{'on disk ms':>12}{'peak MB':>9}")
    for kind, times in seconds.items():
        waits, done = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
        ratio, *_ = median_ratio([wait for wait, _ in times], [wait for wait, _ in seconds["lightning"]])
        print(f"{kind:<12}{waits:>10.0f}{ratio:>8.2f}{done:>12.0f}{memory(kind, folder):>9.0f}")


if __name__ == "__main__":
    main()
