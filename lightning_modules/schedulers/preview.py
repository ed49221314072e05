"""Preview a schedule over a whole run, without training."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightning_modules.schedulers.run_length import RunLength
from lightning_modules.schedulers.step_schedule import momentum_key

QUANTITIES = ("lr", "momentum", "weight_decay")


@dataclass
class Preview:
    """Learning rate, momentum and weight decay of every parameter group at every step of a run.

    Args:
        steps_per_epoch: Optimizer steps in an epoch, `None` if unknown.
        groups: For the name of each group: `lr`, `momentum` and `weight_decay`, one value per step; a quantity that
            the optimizer does not have is missing.
        observed: Number of validations passed to a plateau.
    """

    steps_per_epoch: int | None
    groups: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    observed: int = 0

    @property
    def steps(self) -> int:
        """The number of steps."""
        return max((len(values["lr"]) for values in self.groups.values()), default=0)


def preview(
    optimizer: Optimizer,
    config: dict[str, Any] | None,
    run_length: RunLength,
    validations: Sequence[int] = (),
    values: Sequence[float] = (),
) -> Preview:
    """Step a schedule through a run without training. Optimizer and scheduler cannot be used for training afterwards.

    Args:
        optimizer: The optimizer, whose groups the schedule sets; it takes no step.
        config: Lightning's `lr_scheduler` config, as `build_schedule` returns it; `None` for a constant rate.
        run_length: The length of the run.
        validations: The steps after which the run validates, increasing.
        values: The value that a plateau monitors at each validation; later validations pass it nothing.

    Raises:
        UserError: The run has no known end.

    Example:
        >>> import torch
        >>> from lightning_modules.schedulers import Plateau, build_schedule
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> run_length = RunLength(steps=6, epochs=3, steps_per_epoch=2)
        >>> plateau = build_schedule(Plateau(patience=0), optimizer, run_length)
        >>> preview(optimizer, plateau, run_length, validations=[2, 4, 6], values=[1.0, 1.0]).groups["0"]["lr"]
        [0.1, 0.1, 0.1, 0.1, 0.05, 0.05]
    """
    previewed = Preview(run_length.steps_per_epoch)
    due = deque(zip(validations, values, strict=False))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")  # no optimizer step is taken, on purpose
        for done in range(run_length.known_steps("A preview")):
            while config is not None and due and due[0][0] <= done:
                previewed.observed += observe(config, due.popleft()[1])
            record(optimizer, previewed)
            if config is not None:
                advance(config, done + 1, run_length)
    if config is not None:
        previewed.observed += sum(observe(config, value) for _, value in due)
    return previewed


def record(optimizer: Optimizer, previewed: Preview) -> None:
    """Record the current values of every group."""
    for index, group in enumerate(optimizer.param_groups):
        quantities = previewed.groups.setdefault(str(group.get("name", index)), {})
        key = momentum_key(optimizer)
        found = {"lr": group["lr"], "weight_decay": group.get("weight_decay")}
        found["momentum"] = group[key][0] if key == "betas" else group[key] if key else None
        for quantity, value in found.items():
            if value is not None:
                quantities.setdefault(quantity, []).append(float(value))


def advance(config: dict[str, Any], step: int, run_length: RunLength) -> None:
    """Step the scheduler if Lightning would after optimizer step `step`, counted from 1."""
    if isinstance(config["scheduler"], ReduceLROnPlateau):
        return
    unit = 1 if config.get("interval") == "step" else run_length.in_steps(1, "A schedule by epoch")
    if step % (unit * config.get("frequency", 1)) == 0:
        config["scheduler"].step()


def observe(config: dict[str, Any], value: float) -> bool:
    """Pass the value of a validation to the scheduler if it is a plateau; return whether it is."""
    scheduler = config["scheduler"]
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(value)
    elif getattr(scheduler, "monitor", None) is not None:
        scheduler.observe(value)
    else:
        return False
    return True
