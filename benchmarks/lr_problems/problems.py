"""The problems: task, optimizer, batch size and schedule; those that the finder was tuned on, and those held out."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from schedulefree import AdamWScheduleFree
from timm.optim import Lamb, Lion, Muon  # type: ignore[attr-defined]
from torch.optim import SGD, AdamW

from benchmarks.lr_problems import tasks
from lightning_modules.schedulers import Cosine, OneCycle, Warmup

STEPS = 200
SLOW, LARGEST = ("CNN", "shapes", "discs", "residual", "GRU", "transformer"), 64  # of their batches, to save time
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": partial(SGD, lr=0.1),
    "momentum": partial(SGD, lr=0.1, momentum=0.9),
    "AdamW": partial(AdamW, lr=1e-3),
    "Muon": partial(Muon, lr=2e-3, weight_decay=0.01, adjust_lr_fn="match_rms_adamw", conv_mode="flatten"),
    "Lion": partial(Lion, lr=1e-4, weight_decay=0.1),
    "LAMB": partial(Lamb, lr=1e-3, max_grad_norm=None),
    "schedule-free": partial(AdamWScheduleFree, lr=2.5e-3),
}
"""With the rates of the presets in `configs/optimizers`."""

SCHEDULES: dict[str, Any] = {
    "constant": None,
    "warm-up, cosine": Warmup(Cosine(), fraction=0.1),
    "one-cycle": OneCycle(),
}


@dataclass(frozen=True)
class Problem:
    """What determines the best learning rate of a run of 200 steps."""

    task: str
    optimizer: str
    batch: int
    schedule: str

    def __str__(self) -> str:
        return f"{self.task} | {self.optimizer} | {self.batch} | {self.schedule}"

    def scheduler(self) -> Any:
        """Return the schedule factory; `None` for a constant rate."""
        if self.schedule == "one-cycle" and self.optimizer == "SGD":
            return OneCycle(cycle_momentum=False)  # it has none
        return SCHEDULES[self.schedule]

    @property
    def default(self) -> float:
        """The rate of the optimizer's preset."""
        return float(OPTIMIZERS[self.optimizer].keywords["lr"])  # type: ignore[attr-defined]


def _combined(names: list[str], count: int, seed: int) -> list[Problem]:
    """Draw `count` combinations for each task, in which optimizers, batch sizes and schedules are equally frequent."""
    draws = random.Random(seed)
    total = len(names) * count

    def spread(values: list[Any]) -> list[Any]:
        repeated = (values * (total // len(values) + 1))[:total]
        draws.shuffle(repeated)
        return repeated

    problems = []
    drawn = zip(spread(list(OPTIMIZERS)), spread([4, 16, 64, 128, 512]), spread(list(SCHEDULES)), strict=True)
    for number, (optimizer, batch, schedule) in enumerate(drawn):
        name = names[number // count]
        rows = len(tasks.task(name).train[0])
        free = optimizer == "schedule-free"  # made for a constant rate
        largest = min(rows // 2, LARGEST if any(word in name for word in SLOW) else rows)
        problems.append(Problem(name, optimizer, min(batch, largest), "constant" if free else schedule))
    return problems


def tuned() -> list[Problem]:
    """Return the 30 problems that the finder was tuned on."""
    return _combined(list(tasks.TUNED), 5, 1)


def held_out() -> list[Problem]:
    """Return the 30 problems that were not used to find the rule; they share no task with the others."""
    return _combined(list(tasks.HELD_OUT), 3, 2)
