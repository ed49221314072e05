"""Efficiency of two processes of one thread against one process of two threads, and what the cost model predicts.

    python -m benchmarks.scaling [--rounds 12] [--steps 6] [--batch 250] [--out benchmarks/results]

The CIFAR network in its preset's precision, the same global batch, gloo. The contestants take turns; a round is a
number of steps; a ratio is the geometric mean over the rounds with its 95 % interval. It needs two cores that nobody
else uses.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.paired import Ratio, keep, machine_line, paired_ratio
from benchmarks.scaling_model import Cluster, predict
from lightning_modules.networks import ResNet8


class Row(NamedTuple):
    """What was measured or predicted."""

    what: str
    value: float
    low: float
    high: float
    rounds: int


class Step:
    """Trains on made-up images, a number of steps at a time."""

    def __init__(self, model: nn.Module, batch: int) -> None:
        self.model, self.optimizer = model, torch.optim.SGD(model.parameters(), lr=0.01)
        self.images = torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        self.targets = torch.arange(batch) % 10

    def __call__(self, steps: int) -> float:
        """Seconds a step."""
        began = time.perf_counter()
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                loss = nn.functional.cross_entropy(self.model(self.images), self.targets)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        return (time.perf_counter() - began) / steps


def network() -> nn.Module:
    """The same weights in every process."""
    torch.manual_seed(0)
    return ResNet8(num_classes=10).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def average(numbers: torch.Tensor) -> Callable[[int], float]:
    """Averages gradients alone, as DDP's bucket is averaged."""

    def averaged(steps: int) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            dist.all_reduce(numbers)
        return (time.perf_counter() - began) / steps

    return averaged


def serve(rank: int, folder: str, orders: Connection, batch: int) -> None:
    """One of two processes: does what it is told, together with the other, and says how long a step took."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    weights = sum(p.numel() for p in network().parameters())
    tasks: dict[str, Callable[[int], float]] = {
        "together": Step(DistributedDataParallel(network(), gradient_as_bucket_view=True), batch),
        "alone": Step(network(), batch),
        "averaging": average(torch.zeros(weights)),
    }
    while (order := orders.recv()) is not None:
        dist.barrier()
        orders.send(tasks[order[0]](order[1]))
    dist.destroy_process_group()


def measure(rounds: int, steps: int, batch: int) -> dict[str, list[float]]:
    """Seconds a step, a round each; the first round warms up."""
    torch.set_num_threads(2)
    one, context = Step(network(), batch), multiprocessing.get_context("spawn")
    times: dict[str, list[float]] = {"one process": [], "together": [], "alone": [], "averaging": []}
    with tempfile.TemporaryDirectory() as folder:
        pipes = [context.Pipe() for _ in range(2)]
        workers = [context.Process(target=serve, args=(r, folder, pipes[r][1], batch // 2)) for r in range(2)]
        for worker in workers:
            worker.start()
        for number in range(rounds + 1):
            names = list(times) if number % 2 else list(times)[::-1]
            for name in names:
                if name == "one process":
                    seconds = one(steps)
                else:
                    for pipe, _ in pipes:
                        pipe.send((name, steps))
                    seconds = max(pipe.recv() for pipe, _ in pipes)
                if number:
                    times[name].append(seconds)
        for pipe, _ in pipes:
            pipe.send(None)
        for worker in workers:
            worker.join()
    return times


def evaluate(times: dict[str, list[float]]) -> list[Row]:
    """The efficiencies, and what the model makes of the parts."""
    efficiency = paired_ratio(times["one process"], times["together"])
    scaling = paired_ratio(times["alone"], times["together"])
    bytes_of = 4 * sum(p.numel() for p in network().parameters())
    middle = {name: sorted(values)[len(values) // 2] for name, values in times.items()}
    bandwidth = bytes_of / middle["averaging"]  # of the ring of two: 2 (2 - 1) / 2 of the bytes over each link
    model = predict(middle["alone"], bytes_of, Cluster(2, bandwidth))
    said: dict[str, Ratio] = {
        "efficiency: 1 process × 2 threads / 2 processes × 1 thread": efficiency,
        "efficiency: a process alone / two together": scaling,
    }
    rows = [Row(name, ratio.middle, ratio.low, ratio.high, ratio.rounds) for name, ratio in said.items()]
    rows.append(Row("the same, predicted by the cost model", model.efficiency, 0.0, 0.0, scaling.rounds))
    seconds = {f"seconds, {name}": value for name, value in middle.items()} | {"bytes a second": bandwidth}
    return rows + [Row(name, value, 0.0, 0.0, scaling.rounds) for name, value in seconds.items()]


def main() -> None:
    """Measure, say, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    rows = evaluate(measure(arguments.rounds, arguments.steps, arguments.batch))
    print(machine_line())
    for row in rows:
        interval = f"  ({row.low:.3f} to {row.high:.3f})" if row.low else ""
        print(f"{row.value:12.4g}{interval}  {row.what}")
    keep(rows, arguments.out / "scaling.csv")


if __name__ == "__main__":
    main()
