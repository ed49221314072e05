"""Check what a plateau schedule monitors, and pass it the value after each validation."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from foundation.errors import UserError
from foundation.metrics.direction import direction_for, directions_of
from foundation.ranks import check_equal_on_ranks
from foundation.suggestions import suggest
from lightning_modules.schedulers.plateau import PlateauSchedule
from lightning_modules.schedulers.validations import validations_of
from lightning_modules.schedulers.warmup import WarmedSchedule

SCHEDULE = "The schedule"


def check_frequency(monitor: str, plateau: ReduceLROnPlateau, trainer: Trainer) -> None:
    """Check that the run validates, and warn if it ends before the rate can be reduced.

    Raises:
        UserError: The run does not validate at all.
    """
    steps = validations_of(trainer)
    values = trainer.max_epochs if monitor.startswith("train/") else None if steps is None else len(steps)
    if values == 0:
        raise UserError(
            f"The schedule monitors {monitor!r}, but this run does not validate: give the data a validation set, set"
            " trainer.limit_val_batches above 0 and trainer.check_val_every_n_epoch below the number of epochs, or"
            " choose a schedule that needs no validation (cosine)."
        )
    needed = plateau.patience + 2  # the first value is the best so far
    if values is not None and 0 < values < needed and not getattr(trainer, "fast_dev_run", False):
        rank_zero_warn(
            f"The schedule can never reduce the learning rate: with patience {plateau.patience} that takes {needed}"
            f" values of {monitor!r}, and the run has {values}. Reduce patience or train longer."
        )


def plateaus(trainer: Trainer) -> Iterator[tuple[str, PlateauSchedule | WarmedSchedule]]:
    """Yield the schedules of a run that monitor a logged value, with the name of the value."""
    for config in trainer.lr_scheduler_configs:
        scheduler = config.scheduler
        if isinstance(scheduler, PlateauSchedule | WarmedSchedule) and scheduler.monitor is not None:
            yield scheduler.monitor, scheduler


def observe_plateaus(module: LightningModule) -> None:
    """Pass the newest monitored value to every plateau of the run.

    A module calls it last in its `on_validation_epoch_end`, for values that validation logs, and last in its
    `on_train_epoch_end`, for values named `train/…`. During Lightning's sanity check it only checks that the value is
    logged.

    Raises:
        UserError: The monitored value is not logged, or differs between the ranks.
    """
    trainer = module.trainer
    validating = trainer.validating or trainer.sanity_checking
    for monitor, scheduler in plateaus(trainer):
        if validating == monitor.startswith("train/"):
            continue
        logged = trainer.callback_metrics
        if monitor not in logged:
            raise UserError(unlogged(monitor, logged))
        if not trainer.sanity_checking:
            scheduler.observe(same_on_all_ranks(module, monitor, logged[monitor]))


def check_monitor(trainer: Trainer, logged: set[str] | None = None) -> None:
    """Check before training that the values which plateaus monitor will be logged; warn if the run is too short.

    Args:
        trainer: The trainer, after its schedules are built (`on_fit_start` or later).
        logged: The names of what the module logs; `None` if unknown: then the first validation checks it.

    Raises:
        UserError: The monitored value is not among them, the run does not validate, or the mode is the wrong one.
    """
    for monitor, scheduler in plateaus(trainer):
        if logged is not None and monitor not in logged:
            raise UserError(unlogged(monitor, logged))
        direction_for(SCHEDULE, monitor, scheduler.plateau.mode, directions_of(trainer.lightning_module))
        check_frequency(monitor, scheduler.plateau, trainer)


def unlogged(monitor: str, logged: Collection[str], who: str = SCHEDULE) -> str:
    """Return the message that `monitor` is not logged, with the most similar name."""
    hint = suggest(repr(monitor), map(repr, logged))
    names = ", ".join(sorted(logged)) or "nothing"
    return f"{who} monitors {monitor!r}, which is not logged.{hint} Logged: {names}."


def same_on_all_ranks(module: LightningModule, monitor: str, value: torch.Tensor) -> float:
    """Return the value, which must be the same in every process, or their learning rates would differ."""
    if module.trainer.world_size > 1:
        gathered = module.all_gather(value.detach().to(module.device))
        assert isinstance(gathered, torch.Tensor)
        check_equal_on_ranks(monitor, gathered.flatten().tolist(), "their learning rates would differ too")
    return float(value)
