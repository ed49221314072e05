"""torch's own schedulers, given by class path: the length they lack, and the interval their kind wants."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR, ReduceLROnPlateau

from lightning_modules.schedulers.horizon import Horizon
from lightning_modules.schedulers.plateau_schedule import PlateauSchedule, plateau_config

BY_STEP = (OneCycleLR, CyclicLR)
DEFAULT_MONITOR = "val/loss"


def build_torch_class(
    scheduler: Callable[..., Any], optimizer: Optimizer, horizon: Horizon, interval: str | None = None
) -> dict[str, Any]:
    """Build a scheduler class that arrives without its optimizer.

    A `total_steps` that was left out is filled with the steps of the run; it is then stepped by optimizer step, as
    OneCycleLR and CyclicLR always are. All others count epochs. A plateau is fed by validations.

    Args:
        scheduler: the class, or a `functools.partial` of it.
        optimizer: the optimizer to be scheduled.
        horizon: the length of the run.
        interval: `step` or `epoch`, to overrule the above.

    Returns:
        Lightning's `lr_scheduler` config.
    """
    given = dict(scheduler.keywords) if isinstance(scheduler, partial) else {}
    kind = scheduler.func if isinstance(scheduler, partial) else scheduler
    if isinstance(kind, type) and issubclass(kind, ReduceLROnPlateau):
        inner = scheduler(optimizer)
        return plateau_config(PlateauSchedule(optimizer, inner, given.get("monitor", DEFAULT_MONITOR)))
    lengths: dict[str, int] = {}
    if lacks_total_steps(kind, given):
        lengths["total_steps"] = horizon.known_steps(kind.__name__)
    built = scheduler(optimizer, **lengths)
    if interval is None:
        interval = "step" if lengths or isinstance(built, BY_STEP) else "epoch"
    return {"scheduler": built, "interval": interval, "frequency": 1}


def lacks_total_steps(kind: Callable[..., Any], given: dict[str, Any]) -> bool:
    """Return whether the class takes `total_steps` and got neither it nor `epochs`."""
    if kind is OneCycleLR:
        given = {"total_steps": None} | given
    return "total_steps" in given and given["total_steps"] is None and given.get("epochs") is None
