"""Move a new scheduler to the step at which a run is resumed, and keep the counts of a plateau."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from foundation.errors import UserError
from lightning_modules.schedulers.plateau import PlateauSchedule
from lightning_modules.schedulers.step_schedule import StepScheduleLR
from lightning_modules.schedulers.warmup import WarmedSchedule

COUNTS = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


def steps_done(checkpoint: Mapping[str, Any], interval: str, optimizer: int) -> int:
    """Return how often a scheduler was stepped until a checkpoint.

    Args:
        checkpoint: The checkpoint.
        interval: `step` or `epoch`.
        optimizer: Index of the optimizer.
    """
    if interval == "epoch":
        return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
    taken = checkpoint.get("steps_taken", checkpoint["global_step"])
    return int(taken[optimizer] if isinstance(taken, list) else taken)


def advance(scheduler: Any, steps: int) -> None:
    """Bring a scheduler that has taken no step to where it would be after `steps` steps; a plateau only counts values.

    Raises:
        UserError: It is shorter than that.
    """
    if isinstance(scheduler, StepScheduleLR):
        scheduler.jump(steps)
        return
    if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the optimizer has taken no step yet
        try:
            for _ in range(steps):
                scheduler.step()
        except ValueError as error:
            raise UserError(
                f"{type(scheduler).__name__} cannot start at step {steps} of the resumed run: {error}"
            ) from error


def keep_counts(scheduler: Any, old: Mapping[str, Any] | None) -> bool:
    """Give a plateau the counts of the checkpoint's plateau; return whether both are plateaus that compare alike.

    Args:
        scheduler: The scheduler of this run.
        old: State of the checkpoint's scheduler, or None.
    """
    plateau = _plateau(scheduler)
    state = (old or {}).get("inner", old)
    if plateau is None or not state or "num_bad_epochs" not in state or state.get("mode") != plateau.mode:
        return False
    vars(plateau).update({key: state[key] for key in COUNTS if key in state})
    return True


def _plateau(scheduler: Any) -> ReduceLROnPlateau | None:
    if isinstance(scheduler, WarmedSchedule):
        return _plateau(scheduler.inner)
    if isinstance(scheduler, PlateauSchedule):
        return scheduler.plateau
    return scheduler if isinstance(scheduler, ReduceLROnPlateau) else None
