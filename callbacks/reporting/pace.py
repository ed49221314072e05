"""How far a run is, and how long the rest of it takes."""

import math
import time
from typing import Any

from lightning.pytorch.callbacks import Timer


class Pace:
    """Estimate the time that is left of a run from its progress so far.

    Once there are two rows of the table, the first does not count any more: loading workers and compiling belong to it.
    """

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []

    def start(self, trainer: Any) -> None:
        """Begin to measure, at the start of training."""
        self._points = [(time.monotonic(), share_done(trainer) or 0.0)]

    def note_row(self, trainer: Any) -> None:
        """Note the end of a row."""
        if len(self._points) < 3:
            self._points.append((time.monotonic(), share_done(trainer) or 0.0))

    def left(self, trainer: Any) -> float | None:
        """Return the seconds that are left of the whole run; `None` if its end or its pace is not known."""
        timers = [time_left(each) for each in trainer.callbacks if isinstance(each, Timer)]
        limits = [left for left in timers if left is not None]
        done = share_done(trainer)
        if done is not None and self._points:
            since, before = self._points[1 if len(self._points) == 3 else 0]
            if done > before:
                limits.append((time.monotonic() - since) * (1 - done) / (done - before))
        return max(min(limits), 0.0) if limits else None


def time_left(timer: Timer) -> float | None:
    """Return the seconds until a timer ends the run; `None` if it has not started or has no limit."""
    return timer.time_remaining() if timer.start_time() is not None else None


def epochs_done(trainer: Any) -> float:
    """Return the completed epochs with the part of the current one, such as 2.25 in the third epoch.

    Where the length of an epoch is not known, it counts when it has ended.
    """
    current, batches = trainer.fit_loop.epoch_progress.current, trainer.num_training_batches
    if current.ready == current.completed:
        return float(current.completed)
    if not batches or math.isinf(batches):
        return float(current.processed)
    ready = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    return float(current.completed + min(ready / batches, 1.0))


def share_done(trainer: Any) -> float | None:
    """Return how much of the run is done, in [0, 1]; `None` for a run without a limit of epochs or steps."""
    shares = []
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        shares.append(epochs_done(trainer) / trainer.max_epochs)
    if trainer.max_steps is not None and trainer.max_steps > 0:
        shares.append(trainer.global_step / trainer.max_steps)
    return min(max(shares), 1.0) if shares else None
