"""Save `best.ckpt`, `last.ckpt` and `previous.ckpt`, only where a run can resume exactly."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import Strategy
from lightning.pytorch.strategies.xla import XLAStrategy
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from callbacks.checkpointing.after_hook import AfterModuleHook
from callbacks.checkpointing.folder import CheckpointFolder, shared_folder
from callbacks.checkpointing.io import BackgroundCheckpointIO, DurableCheckpointIO, NameChanges
from callbacks.checkpointing.metadata import run_metadata
from callbacks.checkpointing.monitored import DEFAULT, MonitoredCheckpoint
from callbacks.checkpointing.reading import BEST, EXCEPTION, LAST, PREVIOUS
from callbacks.checkpointing.timing import SaveTiming
from foundation.files import local_folder, remove_leftovers
from foundation.loggers import run_folder


class DurableCheckpoint(MonitoredCheckpoint):
    """Keep ``best.ckpt``, ``last.ckpt`` and the ``previous.ckpt`` before it in ``<run>/checkpoints``.

    A checkpoint is saved at the end of an epoch, after validation, and optionally every few steps or minutes. It is
    saved only where the run can resume exactly: not inside an open accumulation window, not on a batch that a
    validation follows, not on an epoch's last batch. A save that is due there waits for the next batch or the epoch's
    end. A best model found by a validation in mid-epoch is saved right after that validation.

    `DurableCheckpointIO` writes the files, in place of Lightning's default; another plugin of the Trainer stays.

    Args:
        monitor: Logged value that decides which model is the best; None: no best. In a run without validation there is
            no ``val…`` value: a warning, and no best. For the default the value may have another name, such as
            ``val_loss`` or ``loss/validation``, which a line says.
        mode: ``"min"``, lower is better, or ``"max"``; None: what is known of the metric by its name, or by the
            module's torchmetrics object of that name.
        save_top_k: ≥ -1. 1: ``best.ckpt``. k > 1: also the k best, named by epoch and step. 0: no best. -1: every one.
            Without a monitor k > 1 keeps the k newest, and -1 every one.
        every_n_epochs: ≥ 1, in epochs; the last epoch is always saved.
        every_n_train_steps: ≥ 1, in optimizer steps; None: not by steps.
        train_time_interval: Least time between two saves, as ``"00:15:00"``; None: not by time.
        dirpath: Folder of this machine; None: ``checkpoints`` in the run's folder. Where another run has saved
            checkpoints, this run saves in ``1``, ``2``, … below it.
        save_weights_only: Save no optimizers, schedules, positions and callbacks: such a file cannot be resumed.
        save_on_exception: When an error ends the fit, also save ``exception.ckpt``, from which no exact resume can
            start, unless this step is saved already. Only in a run of one process: the others of several may never
            answer.
        background: Write in a thread while training goes on, at the cost of a copy of everything in memory.

    Raises:
        ValueError: An argument is out of its range.
        UserError: Nothing logs ``monitor``, ``mode`` contradicts what is known of it, or neither is known; raised as
            soon as that is certain.

    Example:
        >>> DurableCheckpoint(monitor="val/accuracy").mode
        'max'
    """

    def __init__(
        self,
        monitor: str | None = DEFAULT,
        mode: Literal["min", "max"] | None = None,
        save_top_k: int = 1,
        every_n_epochs: int = 1,
        every_n_train_steps: int | None = None,
        train_time_interval: timedelta | None = None,
        dirpath: str | Path | None = None,
        background: bool = False,
        save_weights_only: bool = False,
        save_on_exception: bool = False,
    ) -> None:
        options = {"save_weights_only": save_weights_only, "save_on_exception": save_on_exception}
        super().__init__(monitor, mode, save_top_k, **options)
        self.timing = SaveTiming(every_n_epochs, every_n_train_steps, train_time_interval)
        self.configured_dirpath = None if dirpath is None else local_folder("dirpath", dirpath)
        self.dirpath = None if self.configured_dirpath is None else str(self.configured_dirpath)
        self.background = background
        self.has_folder = False  # whether the folder is this run's own: from the first save on
        self.unflushed = False
        self.after_hook = AfterModuleHook()

    # -- start of a run ------------------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the run's folder and install the checkpoint IO; find out which values of ``monitor`` are better."""
        if stage == "fit":
            self._set_mode(pl_module)  # before the scores are restored, by a key with the mode
            before, self.has_folder = self.folder, False
            self._set_folder(trainer, self._place(trainer).choose(trainer))
            if self.folder != before:  # another run
                self._forget_all()
        replaceable = (TorchCheckpointIO, DurableCheckpointIO) if self.background else (TorchCheckpointIO,)
        io = trainer.strategy.checkpoint_io
        if isinstance(io, BackgroundCheckpointIO):
            io.in_background = True  # the end of the fit before has ended it
        elif type(io) in replaceable:
            trainer.strategy.checkpoint_io = BackgroundCheckpointIO() if self.background else DurableCheckpointIO()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the timing; warn if the run has no validation but ``monitor`` needs one."""
        self.timing.start(trainer)
        self.after_hook.install(pl_module, lambda: self.save(trainer))
        self.validated = False
        self._set_folder(trainer, self._place(trainer).choose(trainer))  # `setup` does not know what is resumed
        if trainer.is_global_zero:
            remove_leftovers(self.folder)
        self._forget_missing()
        folder = run_folder(trainer)  # a broadcast: every process calls it
        self.run_metadata = run_metadata(trainer, folder) if trainer.is_global_zero else {}
        self._start_ranking(trainer)

    # -- when to save --------------------------------------------------------------------------------------------------

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Assign what the module logged after the last epoch's end to that epoch."""
        self.measured.note(trainer.callback_metrics, trainer.current_epoch - 1)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Remember the step, to see at the batch's end whether the optimizer stepped."""
        self.timing.step_before = trainer.global_step
        if self.unflushed:
            self._flush_logs(trainer)  # the row of the saved step is written after the save
            self.unflushed = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if a checkpoint is due and the run can resume exactly from here."""
        if self.timing.save_after_batch(trainer, batch_idx):
            if self.after_hook.installed:
                self.after_hook.due = True
            else:
                self.save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the model after a validation in mid-epoch if it is the best."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        self.validated = True
        self.measured.note(trainer.callback_metrics, trainer.current_epoch)
        self._check_monitor(trainer, of_validation=True)
        if self.timing.stopping:
            return  # a validation that Lightning adds where a fit is stopped; an uninterrupted run has none here
        if not (trainer.is_last_batch or self.ranks_newest) and self._new_score(trainer) is not None:
            self.save(trainer, only_if_best=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save at the end of an epoch, after the module's own hook."""
        self.measured.note(trainer.callback_metrics, trainer.current_epoch)
        self._check_monitor(trainer, of_validation=False)
        if self.timing.save_after_epoch(trainer):
            self.save(trainer, rank=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save nothing, unless asked to: an exact resume starts from the checkpoint before, which is on the disk."""
        self.timing.abandon()
        self.after_hook.remove()
        if not (self.save_on_exception and trainer.state.fn == TrainerFn.FITTING and trainer.world_size == 1):
            return
        if getattr(trainer, "fast_dev_run", False) or self.timing.saved_step == trainer.global_step:
            return
        try:
            self._take_folder(trainer)
            trainer.save_checkpoint(self.folder / EXCEPTION, self.save_weights_only)
        except Exception as error:
            rank_zero_warn(f"{self.folder / EXCEPTION} could not be saved: {error}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save nothing: the end of the last epoch was saved."""
        self.timing.end()
        self.after_hook.remove()

    # -- saving --------------------------------------------------------------------------------------------------------

    def save(self, trainer: Trainer, rank: bool = False, only_if_best: bool = False) -> None:
        """Write ``last.ckpt`` now; every process calls this.

        Args:
            trainer: The running trainer.
            rank: Also add the model to the best ones, if its score is good enough.
            only_if_best: Write nothing unless it is.
        """
        score = self._new_score(trainer) if rank or only_if_best or self.ranks_newest else None
        self.validated = self.validated and score is None
        self.current_score = self.current_score if score is None else torch.tensor(score)
        enters = bool(trainer.strategy.broadcast(score is not None and self.ranking.admits(score)))
        if getattr(trainer, "fast_dev_run", False) or (only_if_best and not enters):
            return
        self._take_folder(trainer)
        names, dropped = self._add_to_ranking(trainer, score) if enters and score is not None else ([], [])
        self._publish(saved=True)
        self._flush_logs(trainer)  # so that a resume after a crash finds every row from before this checkpoint
        self.unflushed = True
        self.timing.mark_saved(trainer.global_step)
        self._write(trainer, [self.folder / name for name in [*names, LAST]], dropped)
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.after_save_checkpoint(self)

    def _flush_logs(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()

    def _add_to_ranking(self, trainer: Trainer, score: float) -> tuple[list[str], list[str]]:
        """Return the names to write and those to delete."""
        if self.save_top_k == 1:
            return [BEST], self.ranking.add(BEST, score)
        name = f"epoch{trainer.current_epoch:03d}-step{trainer.global_step:06d}.ckpt"
        dropped = self.ranking.add(name, score)
        return ([name, BEST] if self.ranking.best == name and not self.ranks_newest else [name]), dropped

    def _write(self, trainer: Trainer, files: list[Path], dropped: list[str]) -> None:
        """Write the best before the last: after a crash between them the resumed run finds the same best again."""
        strategy = trainer.strategy
        # DeepSpeed, FSDP and others that write in a way of their own refuse options; XLA hands them to the IO.
        hands_over = type(strategy).save_checkpoint in (Strategy.save_checkpoint, XLAStrategy.save_checkpoint)
        if hands_over and isinstance(strategy.checkpoint_io, DurableCheckpointIO):
            keep = ((self.folder / LAST, self.folder / PREVIOUS),)
            remove = tuple(self.folder / name for name in dropped)
            changes = NameChanges(tuple(files[1:]), keep, remove)
            trainer.save_checkpoint(files[0], self.save_weights_only, storage_options=changes)
            return
        for file in files:
            trainer.save_checkpoint(file, self.save_weights_only)
        for name in dropped:
            trainer.strategy.remove_checkpoint(self.folder / name)

    # -- folder --------------------------------------------------------------------------------------------------------

    def _place(self, trainer: Trainer) -> CheckpointFolder:
        root = self.configured_dirpath or run_folder(trainer, or_error=True) / "checkpoints"
        ours = [each for each in trainer.checkpoint_callbacks if isinstance(each, DurableCheckpoint)]  # type: ignore[attr-defined]
        same = [each for each in ours if each.configured_dirpath == self.configured_dirpath]
        return shared_folder(root, [str(each.monitor) for each in same], same.index(self) if self in same else 0)

    def _set_folder(self, trainer: Trainer, folder: Path) -> None:
        self.dirpath = str(trainer.strategy.broadcast(str(folder)))
        self.folder = Path(self.dirpath)

    def _take_folder(self, trainer: Trainer) -> None:
        """Make the folder this run's own before the first save."""
        if not self.has_folder:
            place = self._place(trainer)
            self._set_folder(trainer, place.take(trainer) if trainer.is_global_zero else self.folder)
            self.has_folder = True

    def last_checkpoints(self, trainer: Trainer) -> set[str]:
        """Return the file for ``ckpt_path="last"``: the newest one that is not damaged."""
        found, remark = self._place(trainer).newest()
        if found is not None and remark:
            rank_zero_warn(remark)
        return set() if found is None else {str(found)}
