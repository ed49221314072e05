"""When a checkpoint is due, and whether a run could resume exactly from the present batch."""

import time
from datetime import timedelta

from lightning.pytorch import Trainer

from callbacks.distributed.async_max import AsyncMax, wait_briefly
from foundation.argument_checks import require_at_least_one
from foundation.compat.lightning import process_timeout


class SaveTiming:
    """Decide after each batch and epoch whether to save.

    Args:
        every_epochs: ≥ 1.
        every_steps: Optimizer steps, ≥ 1; None: not by steps.
        every_time: Least time between two saves; None: not by time. With several processes one whose time is up asks
            the others, and all save a batch later: no device waits for the answer.
    """

    def __init__(self, every_epochs: int, every_steps: int | None, every_time: timedelta | None) -> None:
        require_at_least_one(every_n_epochs=every_epochs, every_n_train_steps=1 if every_steps is None else every_steps)
        self.every_epochs, self.every_steps, self.every_time = every_epochs, every_steps, every_time
        self.saves = 0
        self.due = self.stopping = False
        self.step_before = self.saved_step = -1
        self.saved_at = time.monotonic()
        self.requests = AsyncMax()

    def start(self, trainer: Trainer) -> None:
        """Begin a fit: nothing is due, nothing has been saved."""
        self.due = self.stopping = False
        self.step_before = self.saved_step = -1
        self.saved_at = time.monotonic()
        several = trainer.world_size > 1 and self.every_time is not None
        self.requests = AsyncMax(several, process_timeout(trainer.strategy))

    def end(self) -> None:
        """End a fit without error: no question to the other processes is left open."""
        self.requests.close()

    def abandon(self) -> None:
        """End a fit that failed: wait only a moment for the other processes."""
        if self.requests.pending is not None:
            wait_briefly(self.requests.pending[0])

    def mark_saved(self, step: int) -> None:
        """Count a save at this optimizer step."""
        self.due, self.saved_at, self.saved_step = False, time.monotonic(), step
        self.saves += 1

    def save_after_batch(self, trainer: Trainer, batch_idx: int) -> bool:
        """Return whether a checkpoint is due and an exact resume could start after this batch; else it stays due."""
        stepped = trainer.global_step != self.step_before  # else an accumulation window is open
        if stepped and self.every_steps is not None and trainer.global_step % self.every_steps == 0:
            self.due = True
        if self.every_time is not None:
            elapsed = time.monotonic() - self.saved_at >= self.every_time.total_seconds()
            # The number of the save that a process asks for. The answer comes a batch later, when it may be done.
            self.due = self.requests.reduce(self.saves + 1 if elapsed else 0) > self.saves or self.due
        self.stopping = is_stopping(trainer)
        self.due = self.due or self.stopping
        return self.due and stepped and not trainer.is_last_batch and not validation_follows(trainer, batch_idx)

    def save_after_epoch(self, trainer: Trainer) -> bool:
        """Return whether a checkpoint is due at this end of an epoch."""
        if not trainer.is_last_batch and self.saved_step == trainer.global_step:
            return False  # stopped in mid-epoch, and saved where an exact resume can start
        return self.due or (trainer.current_epoch + 1) % self.every_epochs == 0 or is_final_epoch(trainer)


def validation_follows(trainer: Trainer, batch_idx: int) -> bool:
    """Return whether a validation comes right after this training batch.

    A run resumed from a checkpoint saved just before that validation would skip it.
    """
    every_epochs = trainer.check_val_every_n_epoch
    every_batches = trainer.val_check_batch
    if not trainer.enable_validation or every_batches is None:  # None: validation by the clock
        return False
    if every_epochs is None:
        return bool((trainer.fit_loop.total_batch_idx + 1) % every_batches == 0)
    return bool((trainer.current_epoch + 1) % every_epochs == 0 and (batch_idx + 1) % every_batches == 0)


def is_final_epoch(trainer: Trainer) -> bool:
    """Return whether the fit ends with this epoch."""
    epochs_done = trainer.max_epochs not in (None, -1) and trainer.current_epoch + 1 >= trainer.max_epochs
    return bool(epochs_done or is_stopping(trainer))


def is_stopping(trainer: Trainer) -> bool:
    """Return whether the fit ends now, even in mid-epoch: `max_steps` is reached, or a callback stopped it."""
    return bool(trainer.should_stop or (trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps))
