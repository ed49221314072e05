"""End a run that is asked to end at its next safe point, saved, with the exit code that a scheduler expects."""

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
from callbacks.distributed.agreement import Agreement, let_end
from foundation.compat.lightning import process_timeout


class Preemption(Callback):
    """On SIGTERM, Ctrl+C or SLURM's warning: save ``last.ckpt`` at the next safe point, then end.

    The exit code is 128 + the signal's number (143, 130), so that a scheduler does not take the run for a finished one;
    Lightning ends with 0 and 1. In a notebook Ctrl+C ends the fit and gives control back, the model as trained. A
    second signal ends at once: the save before is whole. Nothing is saved in the midst of a step or of a validation.

    Args:
        slurm_signal: Signal of ``#SBATCH --signal=…@SECONDS``; it means something in a job of SLURM alone.
        requeue: Whether to hand the job back to SLURM's queue on that signal. Start it with ``--ckpt_path last`` then.

    Raises:
        ValueError: There is no such signal.
    """

    def __init__(self, slurm_signal: str = "SIGUSR1", requeue: bool = True) -> None:
        if slurm_signal not in signal.Signals.__members__:
            raise ValueError(f"slurm_signal must be the name of a signal such as SIGUSR1, got {slurm_signal!r}.")
        self.slurm_signal, self.requeue = signal.Signals[slurm_signal], requeue
        self.agreement = Agreement()
        self.replaced: dict[int, Any] = {}
        self.training = False
        self.received = self.agreed = 0
        self.saves_before = -1

    # -- listening -----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Take the place of Lightning's handlers: they end with 0, or not at all, or save in the midst of a step."""
        self.received = 0
        if self.replaced or threading.current_thread() is not threading.main_thread():
            return
        slurm = [self.slurm_signal] if "SLURM_JOB_ID" in os.environ else []
        for number in (signal.SIGTERM, signal.SIGINT, *slurm):
            self.replaced[number] = signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received or not self.training:
            self._stop_listening()
            raise KeyboardInterrupt if number == signal.SIGINT and in_notebook() else SystemExit(128 + number)
        self.received = number
        name = signal.Signals(number).name
        os.write(2, f"\n{name}: saving at the next safe point, then ending; once more ends at once.\n".encode())

    def _stop_listening(self) -> None:
        for number, handler in self.replaced.items():
            signal.signal(number, handler)
        self.replaced, self.training = {}, False

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before training there is nothing to save: a signal ends at once, and so it does in an evaluation."""
        self._listen()

    on_test_start = on_predict_start = on_sanity_check_start

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """In ``validate``; a validation within a fit is one of the fit's moments."""
        if not self.training:
            self._listen()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on a signal waits for the next save."""
        self._listen()
        self.training, self.agreed, self.saves_before = True, 0, -1
        self.agreement = Agreement(trainer.world_size > 1, process_timeout(trainer.strategy))
        if saver_of(trainer) is None:
            rank_zero_warn("Preemption has nothing to save with: add callbacks.DurableCheckpoint to the callbacks.")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back; nothing is under way between the processes any more."""
        self._stop_listening()
        self.agreement.close()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back."""
        self._stop_listening()

    on_predict_end = on_test_end

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back; the others are not waited for, beyond a moment."""
        self._stop_listening()
        if self.agreement.pending is not None:
            let_end(self.agreement.pending[0])

    # -- ending --------------------------------------------------------------------------------------------------------

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ask for a save; the checkpoint callback comes after this one and makes it as soon as it is safe."""
        self.agreed = self.agreed or self.agreement.largest(self.received)
        saver = saver_of(trainer)
        if self.agreed and self.saves_before < 0 and saver is not None:
            self.saves_before, saver.due = saver.saves, True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """End once it is saved."""
        self._end_if_saved(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End once it is saved."""
        self._end_if_saved(trainer)

    def _end_if_saved(self, trainer: Trainer) -> None:
        saver = saver_of(trainer)
        if not self.agreed or (saver is not None and saver.saves == self.saves_before):
            return
        if self.agreed == signal.SIGINT and in_notebook():
            trainer.should_stop = True
            return
        if self.agreed == self.slurm_signal and self.requeue and trainer.is_global_zero:
            requeue_job()
        raise SystemExit(128 + self.agreed)


def saver_of(trainer: Trainer) -> DurableCheckpoint | None:
    """The callback that saves."""
    return next((saver for saver in trainer.checkpoint_callbacks if isinstance(saver, DurableCheckpoint)), None)


def in_notebook() -> bool:
    """Whether somebody sits at a prompt and wants it back."""
    return hasattr(builtins, "__IPYTHON__") or hasattr(sys, "ps1")


def requeue_job() -> None:
    """Hand this job back to SLURM's queue; a failure is said, the checkpoint is there anyway."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        rank_zero_warn(f"The job {job} is saved, but not back in the queue: {error}.")
