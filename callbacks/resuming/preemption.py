"""Save a run when a signal asks it to end, and exit with the code that a scheduler expects."""

import builtins
import os
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn

from callbacks.checkpointing.checkpoint import DurableCheckpoint
from callbacks.distributed.async_max import AsyncMax, wait_briefly
from foundation.compat.lightning import ask_for_sigterm_again, leave_sigterm_to_callback, process_timeout


class Preemption(Callback):
    """On SIGTERM, Ctrl+C or SLURM's warning: save ``last.ckpt`` where an exact resume can start, then exit.

    That is after the running optimizer step, or after the validation that follows it, never in the middle of either.
    The exit code is 128 + the signal's number (143, 130), so that a scheduler does not take the run for a finished one;
    Lightning exits with 0 or 1. In a notebook Ctrl+C stops the fit and returns control, with the model as trained. A
    second signal exits at once; the checkpoint before is intact.

    Args:
        slurm_signal: Signal of ``#SBATCH --signal=…@SECONDS``; used only in a SLURM job.
        requeue: Whether to put the job back into SLURM's queue on that signal. Start it with ``--ckpt_path last`` then.

    Raises:
        ValueError: There is no such signal.
    """

    def __init__(self, slurm_signal: str = "SIGUSR1", requeue: bool = True) -> None:
        if slurm_signal not in signal.Signals.__members__:
            raise ValueError(f"slurm_signal must be the name of a signal such as SIGUSR1, got {slurm_signal!r}.")
        self.slurm_signal, self.requeue = signal.Signals[slurm_signal], requeue
        self.signal_max = AsyncMax()
        self.old_handlers: dict[int, Any] = {}
        self.training = False
        self.received = 0  # signal of this process
        self.ending = 0  # signal of any process
        self.saves_before = -1

    # -- signal handlers -----------------------------------------------------------------------------------------------

    def _install_handlers(self) -> None:
        """Replace Lightning's handlers, which exit with 0, or not at all, or save in the middle of a step."""
        self.received = 0
        if self.old_handlers or threading.current_thread() is not threading.main_thread():
            return
        slurm = [self.slurm_signal] if "SLURM_JOB_ID" in os.environ else []
        for number in (signal.SIGTERM, signal.SIGINT, *slurm):
            self.old_handlers[number] = signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received or not self.training:
            self._restore_handlers()
            raise KeyboardInterrupt if number == signal.SIGINT and is_interactive() else SystemExit(128 + number)
        self.received = number
        name = signal.Signals(number).name
        os.write(2, f"\n{name}: saving after this step, then exiting; a second signal exits at once.\n".encode())

    def _restore_handlers(self) -> None:
        for number, handler in self.old_handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python
        self.old_handlers, self.training = {}, False

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Exit at once on a signal before training and in an evaluation: there is nothing to save."""
        self._install_handlers()

    on_test_start = on_predict_start = on_sanity_check_start

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the handlers for ``validate``; a validation within a fit has those of the fit."""
        if not self.training:
            self._install_handlers()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let a signal from here on wait for the next save."""
        self._install_handlers()
        leave_sigterm_to_callback(trainer)
        self.training, self.ending, self.saves_before = True, 0, -1
        self.signal_max = AsyncMax(trainer.world_size > 1, process_timeout(trainer.strategy))
        if find_saver(trainer) is None:
            rank_zero_warn("Preemption has nothing to save with: add callbacks.DurableCheckpoint to the callbacks.")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the handlers; no collective is running any more."""
        self._restore_handlers()
        ask_for_sigterm_again(trainer)
        self.signal_max.close()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the handlers."""
        self._restore_handlers()

    on_predict_end = on_test_end

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restore the handlers; wait only a moment for the other processes."""
        self._restore_handlers()
        ask_for_sigterm_again(trainer)
        if self.signal_max.pending is not None:
            wait_briefly(self.signal_max.pending[0])

    # -- save and exit -------------------------------------------------------------------------------------------------

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Request a save; the checkpoint callback, which comes after this one, saves when an exact resume can start."""
        self.ending = self.ending or self.signal_max.reduce(self.received)
        if self.ending and self.saves_before < 0 and (saver := find_saver(trainer)) is not None:
            self.saves_before, saver.timing.due = saver.timing.saves, True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Exit once the checkpoint is saved."""
        self._exit_if_saved(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Exit once the checkpoint is saved."""
        self._exit_if_saved(trainer)

    def _exit_if_saved(self, trainer: Trainer) -> None:
        if not self.ending:
            return
        saver = find_saver(trainer)
        if saver is not None and saver.timing.saves == self.saves_before:
            return
        if self.ending == signal.SIGINT and is_interactive():
            trainer.should_stop = True
            return
        if self.ending == self.slurm_signal and self.requeue and trainer.is_global_zero:
            requeue_job()
        raise SystemExit(128 + self.ending)


def find_saver(trainer: Trainer) -> DurableCheckpoint | None:
    """Return the callback that saves."""
    return next((saver for saver in trainer.checkpoint_callbacks if isinstance(saver, DurableCheckpoint)), None)


def is_interactive() -> bool:
    """Return whether this is a notebook or a Python prompt."""
    return hasattr(builtins, "__IPYTHON__") or hasattr(sys, "ps1")


def requeue_job() -> None:
    """Put this job back into SLURM's queue; warn if that fails."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        rank_zero_warn(f"The job {job} is saved, but not back in the queue: {error}.")
