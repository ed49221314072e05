"""The row of metrics that Lightning logs only after a checkpoint is saved; a resumed run logs it instead."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from callbacks.checkpointing.reading import read_checkpoint
from foundation.compat.lightning import logged_step
from foundation.loggers import is_logging_step

KEY = "exact_resume"  # of the state of an exact resume in a checkpoint
NEXT_STEP = "next logged step"


class UnloggedRow:
    """Find the metrics of the present step or epoch that no logger has yet: those that changed since `note_*`."""

    def __init__(self) -> None:
        self.before_epoch_end: dict[str, Any] | None = None
        self.before_step: dict[str, Any] = {}

    def note_epoch_start(self) -> None:
        """Begin an epoch."""
        self.before_epoch_end = None

    def note_batch_start(self, trainer: Trainer) -> None:
        """Remember what is logged before a step whose metrics Lightning will log."""
        if is_logging_step(trainer, logged_step(trainer) + 1):
            self.before_step = dict(trainer.logged_metrics)

    def note_epoch_end(self, trainer: Trainer) -> None:
        """Remember what is logged before the epoch's metrics; a save that follows comes before Lightning logs them."""
        self.before_epoch_end = dict(trainer.logged_metrics)

    def find(self, trainer: Trainer) -> dict[str, Any]:
        """Return `metrics` and `step` of the epoch's row, or in mid-epoch of the step just taken; empty if none."""
        before, step = self.before_epoch_end, logged_step(trainer)
        if before is not None:
            step -= 1  # Lightning logs an epoch's row with the step of its last batch
        elif trainer.training and is_logging_step(trainer, step + 1):
            before = self.before_step
        else:
            return {}
        new = {name: float(value) for name, value in trainer.logged_metrics.items() if value is not before.get(name)}
        if not new:
            return {}
        return {"metrics": new | {"epoch": trainer.current_epoch}, "step": step}

    def next_step(self, trainer: Trainer, window_is_open: bool) -> int:
        """Return the step of the first row that a run logs which resumes from a checkpoint saved now."""
        within_batch = self.before_epoch_end is None and not window_is_open
        return logged_step(trainer) + int(within_batch)


def next_logged_step(path: Path) -> int:
    """Return the step of the first row of metrics that a run logs which resumes from this checkpoint."""
    return next_step_in(read_checkpoint(path))


def next_step_in(checkpoint: Mapping[str, Any]) -> int:
    """Return the same of a checkpoint that is read already."""
    step = checkpoint.get(KEY, {}).get(NEXT_STEP)
    return int(checkpoint["global_step"] if step is None else step)  # checkpoints of earlier versions have none


def log_row(trainer: Trainer, row: dict[str, Any]) -> None:
    """Log the row that the interrupted run may not have logged, except to a logger that knows it has it."""
    metrics, step = row.get("metrics", {}), row.get("step")
    if metrics and trainer.is_global_zero:
        for logger in trainer.loggers:
            holds = getattr(logger, "holds", None)
            if holds is None or not holds(metrics, step):
                logger.log_metrics(metrics, step)
