"""Training steps of one process and of two, measured in turns; `spawn` cannot start them from `__main__.py`."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.common.paired import in_turns
from lightning_modules.networks import ResNet8


class Step:
    """Train on random images for a number of steps."""

    def __init__(self, model: nn.Module, batch: int) -> None:
        self.model, self.optimizer = model, torch.optim.SGD(model.parameters(), lr=0.01)
        self.images = torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        self.targets = torch.arange(batch) % 10

    def __call__(self, steps: int) -> float:
        """Train, and return the seconds per step."""
        began = time.perf_counter()
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                loss = nn.functional.cross_entropy(self.model(self.images), self.targets)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        return (time.perf_counter() - began) / steps


def network() -> nn.Module:
    """Make the network, with the same weights in every process."""
    torch.manual_seed(0)
    return ResNet8(num_classes=10).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def average(numbers: torch.Tensor) -> Callable[[int], float]:
    """Make a function that averages numbers across the processes, as DDP averages gradients."""

    def averaged(steps: int) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            dist.all_reduce(numbers)
        return (time.perf_counter() - began) / steps

    return averaged


def serve(rank: int, folder: str, orders: Connection, batch: int) -> None:
    """Run the ordered task together with the other process, and send the seconds per step."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
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
    """Measure the seconds per step of each contestant in turns; a first round warms up."""
    torch.set_num_threads(2)
    one, context = Step(network(), batch), multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        pipes = [context.Pipe() for _ in range(2)]
        workers = [context.Process(target=serve, args=(r, folder, pipes[r][1], batch // 2)) for r in range(2)]
        for worker in workers:
            worker.start()

        def both(name: str) -> float:
            for pipe, _ in pipes:
                pipe.send((name, steps))
            return max(float(pipe.recv()) for pipe, _ in pipes)

        tasks = {name: partial(both, name) for name in ("together", "alone", "averaging")}
        times = in_turns({"one process": lambda: one(steps), **tasks}, rounds, warm_up=1)
        for pipe, _ in pipes:
            pipe.send(None)
        for worker in workers:
            worker.join()
    return times
