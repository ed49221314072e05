"""Resume a run with identical results: random numbers depend on seed, rank, epoch and batch only."""

import os
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from callbacks.resuming.batch_order import number_from
from callbacks.resuming.data_position import DataPosition
from callbacks.resuming.epoch_state import (
    ends_epoch,
    gradients_of,
    kept_tensors,
    metric_states,
    restore_gradients,
    restore_metrics,
)
from callbacks.resuming.logged_sums import LOGGED, LoggedSums
from callbacks.resuming.plateau_step import PlateauStep
from callbacks.resuming.unlogged_row import KEY, NEXT_STEP, UnloggedRow, log_row
from foundation.argument_checks import require_between
from foundation.compat.lightning_data import loader_positions
from foundation.random_streams import seed_all
from lightning_modules.resuming.precision import convert_before_loading


class ExactResume(Callback):
    """Reseed every random generator before each batch, so that an interrupted run draws the same numbers.

    Dropout and augmentation then draw the same on each process, and a checkpoint needs no generator states. The order
    of a plain ``DataLoader(shuffle=True)``, or of any sampler that takes a generator, depends on seed and epoch, and a
    resumed epoch continues where it was, see `DataPosition`. The rest of an exact resume: Lightning restores the
    weights, optimizer, schedules and scaler, and this callback the metrics of the unfinished epoch, also those of
    ``self.log(on_epoch=True)``, and the gradients of an open accumulation window. If the checkpoint was saved under
    other conditions, such as another number of processes, the run continues, and a warning says that the result
    differs.

    Args:
        seed: ≥ 0; None: that of the resumed checkpoint, else the run's (``seed_everything``), else torch's.

    Raises:
        ValueError: ``seed`` is negative.
    """

    def __init__(self, seed: int | None = None) -> None:
        require_between("seed", seed or 0, 0)
        self.configured_seed = self.seed = seed
        self.conditions: dict[str, Any] = {}
        self.max_steps: int | None = None
        self.unlogged = UnloggedRow()
        self.row: dict[str, Any] = {}
        self.window_is_open = False
        self.gradients: dict[str, Any] | None = None
        self.position = DataPosition()
        self.sums = LoggedSums()
        self.plateau = PlateauStep()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Choose the seed, the same on every process; prepare weights in 64 bit for a checkpoint."""
        convert_before_loading(trainer, pl_module)
        own = int(os.environ.get("PL_GLOBAL_SEED", torch.initial_seed()))
        configured = self.configured_seed
        self.seed = configured if configured is not None else int(trainer.strategy.broadcast(own))
        self.conditions = {}

    # -- restoring -----------------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hide ``max_steps`` while Lightning restores its loops.

        With it, Lightning takes a checkpoint of an epoch's end for one in mid-epoch, runs an empty epoch and counts the
        epoch twice. The position of a loader with a `state_dict` needs it, and is used only within an epoch.
        """
        if trainer.ckpt_path is not None and trainer.max_steps != -1 and not loader_positions(trainer):
            self.max_steps, trainer.fit_loop.epoch_loop.max_steps = trainer.max_steps, -1

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restore ``max_steps`` and the loaders."""
        self._restore_max_steps(trainer)
        self.position.end()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the loaders back as they were."""
        self.plateau.take(trainer)
        self.position.end()

    def _restore_max_steps(self, trainer: Trainer) -> None:
        if self.max_steps is not None:
            trainer.fit_loop.epoch_loop.max_steps, self.max_steps = self.max_steps, None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish the resume; warn if the conditions differ from those of the checkpoint."""
        self._restore_max_steps(trainer)
        log_row(trainer, self.row)
        if self.gradients is not None:
            restore_gradients(pl_module, self.gradients)
        self.row, self.gradients = {}, None
        self.plateau.take(trainer)
        self.reseed(trainer, -1)
        self.position.resume(trainer, self.seed or 0)
        now = conditions_of(trainer)
        old = now | self.conditions
        differing = [f"{name} {old[name]} → {value}" for name, value in now.items() if old[name] != value]
        if differing:
            rank_zero_warn(
                f"Resumed under other conditions ({', '.join(differing)}): the run continues, but its result is not"
                " that of the uninterrupted run."
            )

    # -- reseeding -----------------------------------------------------------------------------------------------------

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reseed for random numbers between epochs."""
        self.unlogged.note_epoch_start()
        self.sums.forget()
        self.plateau.take(trainer)
        self.reseed(trainer, -1)
        self.position.start_epoch(trainer, self.seed or 0)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Reseed for random numbers in the step."""
        self.reseed(trainer, batch_idx)
        self.window_is_open = (batch_idx + 1) % trainer.accumulate_grad_batches != 0 and not trainer.is_last_batch
        self.unlogged.note_batch_start(trainer)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Do what `on_train_batch_end` does, before an optimizer that evaluates the loss again logs once more."""
        if self.sums.saved:
            self.sums.merge(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add what the interrupted part of the epoch has logged."""
        if self.sums.saved:
            self.sums.merge(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reseed for random numbers in validation."""
        if not trainer.sanity_checking:
            self.reseed(trainer, -2)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the accumulation window; complete the sums of the epoch."""
        self.window_is_open = False
        self.sums.merge(trainer)
        self.sums.log_rest(pl_module)
        self.plateau.note_epoch_end(trainer)
        self.unlogged.note_epoch_end(trainer)

    def reseed(self, trainer: Trainer, batch_idx: int) -> None:
        """Seed all generators from seed, rank, epoch and batch."""
        seed_all(number_from(self.seed, trainer.global_rank, trainer.current_epoch, batch_idx), trainer)

    # -- state ---------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the seed: a resumed run continues with it, whatever seed it was started with."""
        return {"seed": self.seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the seed unless one was configured."""
        self.seed = state_dict["seed"] if self.configured_seed is None else self.configured_seed

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the state of the unfinished epoch, the conditions, and the row that is not logged yet."""
        gradients = gradients_of(pl_module) if self.window_is_open and trainer.world_size == 1 else None
        checkpoint[KEY] = {
            "sums": metric_states(pl_module, trainer),
            LOGGED: self.sums.state(trainer),
            "plateau": self.plateau.values(trainer),
            "conditions": conditions_of(trainer),
            "row": self.unlogged.find(trainer),
            NEXT_STEP: self.unlogged.next_step(trainer, self.window_is_open),
            "gradients": gradients,
            "open window": self.window_is_open,
            "kept": [] if ends_epoch(trainer) else kept_tensors(pl_module),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore that state; the metrics, reduced over all processes, on the first process only."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        saved = checkpoint.get(KEY, {})
        self.row = saved.get("row", {})
        self.position.load(checkpoint)
        self.plateau.load(saved.get("plateau", {}))
        self.sums.load(saved.get(LOGGED, {}), trainer)
        self.conditions, self.gradients = saved.get("conditions", {}), saved.get("gradients")
        if saved.get("open window") and self.gradients is None:
            rank_zero_warn(
                "The checkpoint was saved by a validation within an open accumulation window of several processes and"
                " does not hold their gradients: the run continues, but its result is not that of the uninterrupted"
                " run."
            )
        if kept := saved.get("kept"):
            rank_zero_warn(
                f"The module keeps tensors of the unfinished epoch in {', '.join(kept)}, which no checkpoint holds:"
                " what it computes from them at the end of this epoch covers the batches after the resume only."
            )
        if trainer.is_global_zero:
            restore_metrics(pl_module, saved.get("sums", {}))


def conditions_of(trainer: Trainer) -> dict[str, Any]:
    """Return the trainer's settings that an exact resume needs to be the same."""
    return {
        "processes": trainer.world_size,
        "trainer.accumulate_grad_batches": trainer.accumulate_grad_batches,
        "trainer.precision": str(trainer.precision),
        "batches in an epoch": trainer.num_training_batches,
    }
