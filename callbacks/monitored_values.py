"""Check before training that what callbacks monitor will be logged."""

from collections.abc import Collection, Iterator

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from callbacks.checkpointing.checkpoint import DurableCheckpoint
from callbacks.checkpointing.ranking import check_is_logged, is_validation_metric
from foundation.errors import UserError
from foundation.metrics.direction import direction_for, directions_of
from lightning_modules.base.epoch_module import EpochModule
from lightning_modules.schedulers.monitor import unlogged

OURS = ("lightning.", "lightning_modules.", "callbacks.", "descent.")
PER_STEP = {"train/loss_step", "lr", "skipped_steps", "step", "epoch"}


class MonitoredValues(Callback):
    """Check what the other callbacks monitor (early stopping, checkpoints), before an epoch is lost.

    A value of validation is checked against Lightning's sanity check, which is a validation before training; with our
    own modules also against what they log. A mode that contradicts the module's own metric ends the run too.

    Raises:
        UserError: A callback monitors what is not logged, or the wrong direction of it.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check what is known without a step."""
        logged = logged_names(trainer, pl_module)
        for who, monitor, mode in monitors(trainer):
            direction_for(who, monitor, mode, directions_of(pl_module))
            if is_validation_metric(monitor) and not trainer.enable_validation:
                raise UserError(
                    f"{who} monitors {monitor!r}, but this run does not validate: give the data a validation set"
                    " and set trainer.limit_val_batches above 0, or monitor what training logs, such as 'train/loss'."
                )
            if logged is not None and not may_come_later(monitor) and monitor not in logged:
                raise UserError(unlogged(monitor, logged, who))
        for name in ranked_by(trainer):
            # The checkpoint itself checks a value of validation, after the sanity check.
            if logged is not None and not may_come_later(name) and not is_validation_metric(name):
                check_is_logged(name, logged)

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check values of validation."""
        for who, monitor, _ in monitors(trainer):
            if trainer.callback_metrics and is_validation_metric(monitor) and monitor not in trainer.callback_metrics:
                raise UserError(unlogged(monitor, set(trainer.callback_metrics), who))


def monitors(trainer: Trainer) -> Iterator[tuple[str, str, str]]:
    """Yield class name, monitored value and mode of callbacks that have them; `DurableCheckpoint` checks its own."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        monitor, mode = getattr(callback, "monitor", None), getattr(callback, "mode", None)
        if isinstance(monitor, str) and mode in ("min", "max") and not isinstance(callback, DurableCheckpoint):
            yield type(callback).__name__, monitor, mode


def may_come_later(monitor: str) -> bool:
    """Return whether a value may be logged although the module does not name it: by step, or by a callback."""
    if monitor in PER_STEP or monitor.endswith("_step"):
        return True
    return "/" in monitor and not monitor.startswith(("train/", "val/"))


def ranked_by(trainer: Trainer) -> Iterator[str]:
    """Yield what the checkpoints that keep a best model are ranked by, as far as it must be logged."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, DurableCheckpoint) and callback.monitor is not None and callback.save_top_k != 0:
            yield callback.monitor


def logged_names(trainer: Trainer, module: LightningModule) -> Collection[str] | None:
    """Return the names of what a module logs per epoch; `None` if it or a callback could log more."""
    others = [module, *trainer.callbacks]  # type: ignore[attr-defined]
    if isinstance(module, EpochModule) and all(type(other).__module__.startswith(OURS) for other in others):
        return module.logged_metrics()
    return None
