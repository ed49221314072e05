"""Start real processes for a test: forks of the test, which has imported everything; without threads that is safe."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch.multiprocessing.spawn import ProcessContext, start_processes

PATIENCE = 240  # seconds, for a busy machine


class StartedElsewhere(LightningEnvironment):
    """Tell Lightning that the test started the processes."""

    @property
    def creates_processes_externally(self) -> bool:
        return True


def ddp() -> DDPStrategy:
    return DDPStrategy(cluster_environment=StartedElsewhere(), process_group_backend="gloo")


def started(function: Callable[..., None], arguments: tuple[Any, ...], count: int = 2) -> ProcessContext:
    """Start `function(rank, *arguments)` in `count` processes."""
    context = start_processes(function, arguments, nprocs=count, join=False, start_method="fork")
    assert context is not None
    return context


def in_processes(count: int, function: Callable[..., Any], folder: Path) -> list[Any]:
    """Run `function(rank, count, folder)` in `count` processes of one gloo group; return their results by rank."""
    context = started(_run, (count, function, str(folder)), count)
    try:
        ended = any(context.join(timeout=PATIENCE) for _ in range(count))  # returns when one has ended
        assert ended, "the ranks wait for each other"
    finally:
        for process in context.processes:
            process.kill()
    return [torch.load(folder / f"{count}-{rank}.pt", weights_only=False) for rank in range(count)]


def _run(rank: int, count: int, function: Callable[..., Any], folder: str) -> None:
    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0")
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meet{count}"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
    torch.save(function(rank, count, folder), f"{folder}/{count}-{rank}.pt")
    torch.distributed.destroy_process_group()
