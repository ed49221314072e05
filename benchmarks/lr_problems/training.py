"""Train a problem at one rate, in a plain loop: the judge of the benchmark."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from benchmarks.lr_problems.problems import OPTIMIZERS, STEPS, Problem
from benchmarks.lr_problems.tasks import Task, task
from foundation.compat.torch import is_batch_norm
from lightning_modules.optimizers.schedule_free import schedule_free
from lightning_modules.schedulers import RunLength, build_schedule

JUDGED = 256  # held-out rows on which a short run is judged


def batches(rows: int, size: int, seed: int) -> Iterator[Tensor]:
    """Yield the rows of each batch, epoch after epoch, in the order of the seed."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(rows, generator=generator)
        yield from (order[start : start + size] for start in range(0, rows - size + 1, size))


def losses(
    problem: Problem, rate: float, seed: int, steps: int = STEPS, marks: Sequence[int] = (), rates: Sequence[float] = ()
) -> tuple[float, list[float], list[float]]:
    """Train for `steps` steps at a rate, with the schedule of the problem fitted to them.

    Args:
        problem: The problem.
        rate: Of the optimizer; the schedule multiplies it.
        seed: Of weights and order.
        steps: Length of the run.
        marks: Steps after which to judge the network.
        rates: Of each step, instead of the schedule's.

    Returns:
        Validation loss at the end, infinite if it diverged; loss on some held-out rows at each mark, batch norm with
        the statistics of these; training loss of each step.
    """
    what: Task = task(problem.task)
    torch.manual_seed(1000 + seed)
    network = what.network()
    optimizer = OPTIMIZERS[problem.optimizer](network.parameters(), lr=rate)
    free = schedule_free(optimizer)
    if free:
        optimizer.train()
    schedule = None if rates else build_schedule(problem.scheduler(), optimizer, RunLength(steps, 1, steps))
    order = batches(len(what.train[0]), problem.batch, seed)
    judged: list[float] = []
    trained: list[float] = []
    for step in range(steps):
        if rates:
            optimizer.param_groups[0]["lr"] = rates[step]
        rows = next(order)
        loss = what.loss(network(what.train[0][rows]), what.train[1][rows])
        trained.append(float(loss.detach()))
        if not math.isfinite(trained[-1]):
            return math.inf, judged + [math.inf] * (len(marks) - len(judged)), trained
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if schedule is not None:
            schedule["scheduler"].step()
        if step + 1 in marks:
            judged.append(_judge(what, network, optimizer if free else None, True))
    return _judge(what, network, optimizer if free else None, False), judged, trained


@torch.no_grad()
def _judge(what: Task, network: nn.Module, free: torch.optim.Optimizer | None, short: bool) -> float:
    if free is not None:
        free.eval()  # type: ignore[attr-defined]
    network.eval()
    norms = [module for module in network.modules() if is_batch_norm(module)] if short else []
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 0.0  # type: ignore[assignment]
    count = JUDGED if short else None
    loss = float(what.loss(network(what.validation[0][:count]), what.validation[1][:count]))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum  # type: ignore[assignment]
    network.train()
    if free is not None:
        free.train()  # type: ignore[attr-defined]
    return loss if math.isfinite(loss) else math.inf
