"""The bridge between validation and a plateau: is the monitored value logged, and what is it now."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from foundation.errors import UserError
from foundation.ranks import check_equal_on_ranks
from lightning_modules.schedulers.plateau import PlateauSchedule
from lightning_modules.schedulers.validations import validations_of
from lightning_modules.schedulers.warmup import WarmedSchedule

SMALLER_IS_BETTER = {"loss", "error", "mse", "mae", "rmse", "msle", "perplexity", "calibration_error"}
LARGER_IS_BETTER = {"accuracy", "accuracy_top5", "f1", "auroc", "iou", "jaccard", "dice", "precision", "recall", "r2"}


def check_mode(monitor: str, mode: str) -> None:
    """Refuse to wait for an accuracy to fall or for a loss to rise.

    Raises:
        UserError: the name is one of those that everybody knows, and the mode is the other one.
    """
    name = monitor.rpartition("/")[2]
    right = "min" if name in SMALLER_IS_BETTER else "max" if name in LARGER_IS_BETTER else mode
    if mode != right:
        way = "smaller" if right == "min" else "larger"
        raise UserError(
            f"The schedule monitors {monitor!r} with mode {mode}, and {name} is better the {way} it is: set mode:"
            f" {right}."
        )


def check_frequency(monitor: str, plateau: ReduceLROnPlateau, trainer: Trainer) -> None:
    """See that the run validates, and warn where it ends before the rate could ever be reduced.

    Raises:
        UserError: the run does not validate at all.
    """
    seen = trainer.max_epochs if monitor.startswith("train/") else counted(trainer)
    if seen == 0:
        raise UserError(
            f"The schedule monitors {monitor!r}, and this run does not validate: give the data a validation part, set"
            " trainer.limit_val_batches above 0 and trainer.check_val_every_n_epoch below the number of epochs, or"
            " choose a schedule that needs no validation (cosine)."
        )
    needed = plateau.patience + 2  # the first value is the best so far
    if seen is not None and 0 < seen < needed and not getattr(trainer, "fast_dev_run", False):
        rank_zero_warn(
            f"The schedule can never reduce the learning rate: with patience {plateau.patience} that takes {needed}"
            f" values of {monitor!r}, and the run has {seen}. Shorten patience or train longer."
        )


def counted(trainer: Trainer) -> int | None:
    """Return how often the run validates, `None` when unknown."""
    steps = validations_of(trainer)
    return None if steps is None else len(steps)


def plateaus(trainer: Trainer) -> Iterator[tuple[str, PlateauSchedule | WarmedSchedule]]:
    """Yield the schedules of a run that watch a logged value, with its name."""
    for config in trainer.lr_scheduler_configs:
        scheduler = config.scheduler
        if isinstance(scheduler, PlateauSchedule | WarmedSchedule) and scheduler.monitor is not None:
            yield scheduler.monitor, scheduler


def observe_plateaus(module: LightningModule) -> None:
    """Tell every plateau of the run the newest value of what it monitors.

    A module calls it last in its `on_validation_epoch_end`, for what validation logs, and last in its
    `on_train_epoch_end`, for what is named `train/…`. During Lightning's sanity check it only checks that the value is
    logged.

    Raises:
        UserError: nobody logged the monitored value, or the ranks disagree about it.
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
    """Check before training that what a plateau monitors will be there.

    Args:
        trainer: the trainer, its schedules built (`on_fit_start` or later).
        logged: the names that the module says it logs; `None` when it does not say: then the first validation tells.

    Raises:
        UserError: it is not among them, the run does not validate, or the mode is the wrong way round.

    Warns when the run ends before the patience does.
    """
    for monitor, scheduler in plateaus(trainer):
        if logged is not None and monitor not in logged:
            raise UserError(unlogged(monitor, logged))
        check_mode(monitor, scheduler.plateau.mode)
        check_frequency(monitor, scheduler.plateau, trainer)


def unlogged(monitor: str, logged: set[str] | dict[str, torch.Tensor]) -> str:
    """Say that nobody logs `monitor`, and what comes nearest."""
    near = difflib.get_close_matches(monitor, list(logged), n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    names = ", ".join(sorted(logged)) or "nothing"
    return f"The schedule monitors {monitor!r}, which is not logged.{meant} Logged: {names}."


def same_on_all_ranks(module: LightningModule, monitor: str, value: torch.Tensor) -> float:
    """Return the value, which every process must agree on, or their learning rates drift apart."""
    if module.trainer.world_size > 1:
        gathered = module.all_gather(value.detach().to(module.device))
        assert isinstance(gathered, torch.Tensor)
        check_equal_on_ranks(monitor, gathered.flatten().tolist(), "their learning rates would differ too")
    return float(value)
