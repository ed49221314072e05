"""Make a resumed run the same run: random numbers by (seed, epoch, batch), sums of the open epoch saved."""

import hashlib
import os
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from callbacks.resuming.open_epoch import load_gradients, load_open_sums, open_gradients, open_sums
from foundation.random_streams import seed_all
from foundation.trainer_logs import is_logged

KEY = "exact_resume"


class ExactResume(Callback):
    """Reseed every generator before each batch, so that nothing depends on how many numbers were drawn before.

    Dropout and the like then draw the same numbers in an interrupted run as in an uninterrupted one, on each process,
    and a checkpoint need not hold the state of any generator. With the position in the epoch (the data module's), the
    weights, optimizer, schedules and scaler (Lightning's), the sums that the open epoch's metrics have gathered and the
    gradients of an open accumulation window (saved here), a resumed run ends with the same bits. Where the checkpoint
    comes from other conditions, another number of processes say, the run goes on and one line says that it is not the
    same.

    Args:
        seed: ≥ 0; None: that of the resumed checkpoint, else the run's (``seed_everything``), else torch's.

    Raises:
        ValueError: ``seed`` is negative.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and seed < 0:
            raise ValueError(f"seed must be ≥ 0, got {seed}.")
        self.given = self.seed = seed
        self.conditions: dict[str, Any] = {}
        self.max_steps: int | None = None
        self.logged_before: dict[str, Any] | None = None
        self.old: dict[str, Any] = {}
        self.row: dict[str, Any] = {}
        self.window_is_open = False
        self.gradients: dict[str, Any] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Settle the seed, the same on every process."""
        own = int(os.environ.get("PL_GLOBAL_SEED", torch.initial_seed()))
        self.seed = self.given if self.given is not None else int(trainer.strategy.broadcast(own))
        self.conditions = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hide ``max_steps`` while the loops are restored.

        With it, Lightning takes a checkpoint of an epoch's end for one of the midst of it, goes through an empty epoch
        and counts it twice.
        """
        if trainer.ckpt_path is not None and trainer.max_steps != -1:
            self.max_steps, trainer.fit_loop.epoch_loop.max_steps = trainer.max_steps, -1

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the trainer as it was."""
        self._show_max_steps(trainer)

    def _show_max_steps(self, trainer: Trainer) -> None:
        if self.max_steps is not None:
            trainer.fit_loop.epoch_loop.max_steps, self.max_steps = self.max_steps, None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the run with the one that the checkpoint comes from."""
        self._show_max_steps(trainer)
        self._log_row(trainer)
        if self.gradients is not None:
            load_gradients(pl_module, self.gradients)
        self.gradients = None
        now = conditions_of(trainer)
        differing = [
            f"{name} {self.conditions[name]} → {value}"
            for name, value in now.items()
            if self.conditions.get(name, value) != value
        ]
        if differing:
            rank_zero_warn(
                f"Resumed under other conditions ({', '.join(differing)}): going on, but the result is not that of the"
                " uninterrupted run."
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """For what draws between the epochs."""
        self.logged_before = None
        self._reseed(trainer, -1)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """For dropout and whatever else draws in a step."""
        self._reseed(trainer, batch_idx)
        self.window_is_open = (batch_idx + 1) % trainer.accumulate_grad_batches != 0 and not trainer.is_last_batch
        if is_logged(trainer, trainer.global_step + 1):
            self.old = dict(trainer.logged_metrics)  # what this step adds to it is its row

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """For a validation that draws."""
        if not trainer.sanity_checking:
            self._reseed(trainer, -2)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Know that a save that follows comes before Lightning has written the epoch's row to the logs."""
        self.window_is_open = False
        self.logged_before = dict(trainer.logged_metrics)

    def _log_row(self, trainer: Trainer) -> None:
        """Write the row that the interrupted run may not have come to, unless a logger knows that it holds it."""
        metrics, step = self.row.get("metrics", {}), self.row.get("step")
        if metrics and trainer.is_global_zero:
            for logger in trainer.loggers:
                holds = getattr(logger, "holds", None)
                if holds is None or not holds(metrics, step):
                    logger.log_metrics(metrics, step)
        self.row = {}

    def _row(self, trainer: Trainer) -> dict[str, Any]:
        """The row that Lightning writes after the save: the epoch's, or in mid-epoch that of the step just taken."""
        before = self.logged_before
        if before is None and trainer.training and is_logged(trainer, trainer.global_step):
            before = self.old
        if before is None:
            return {}
        new = {name: float(value) for name, value in trainer.logged_metrics.items() if value is not before.get(name)}
        if not new:
            return {}
        return {"metrics": new | {"epoch": trainer.current_epoch}, "step": trainer.global_step - 1}

    def _reseed(self, trainer: Trainer, batch_idx: int) -> None:
        key = (self.seed, trainer.global_rank, trainer.current_epoch, batch_idx)
        seed_all(int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big"), trainer)

    def state_dict(self) -> dict[str, Any]:
        """The seed: a resume continues with it, whatever seed it was started with."""
        return {"seed": self.seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the seed over unless one was given."""
        self.seed = state_dict["seed"] if self.given is None else self.given

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the sums of the open epoch, over all processes, the conditions, and the row that is not logged yet."""
        sums = open_sums(pl_module, trainer)
        gradients = open_gradients(pl_module) if self.window_is_open else None
        checkpoint[KEY] = {
            "sums": sums,
            "conditions": conditions_of(trainer),
            "row": self._row(trainer),
            "gradients": gradients if trainer.world_size == 1 else None,
            "open window": self.window_is_open,
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the sums back; they count once, on the first process."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        saved = checkpoint.get(KEY, {})
        self.row = saved.get("row", {})
        self.conditions, self.gradients = saved.get("conditions", {}), saved.get("gradients")
        if saved.get("open window") and self.gradients is None:
            rank_zero_warn(
                "The checkpoint was saved by a validation within an open accumulation window of several processes,"
                " whose gradients it does not hold: going on, but the result is not that of the uninterrupted run."
            )
        if trainer.is_global_zero:
            load_open_sums(pl_module, saved.get("sums", {}))


def conditions_of(trainer: Trainer) -> dict[str, Any]:
    """What has to be the same for a resume to be exact, and that the Trainer knows."""
    return {
        "processes": trainer.world_size,
        "trainer.accumulate_grad_batches": trainer.accumulate_grad_batches,
        "trainer.precision": str(trainer.precision),
        "batches in an epoch": trainer.num_training_batches,
    }
