"""Save `best.ckpt`, `last.ckpt` and `previous.ckpt`, only where a run can resume exactly."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from callbacks.checkpointing.folder import CheckpointFolder, shared_folder
from callbacks.checkpointing.io import BackgroundCheckpointIO, DurableCheckpointIO, NameChanges
from callbacks.checkpointing.metadata import KEY, run_metadata, save_metadata
from callbacks.checkpointing.ranking import Ranking, check_is_logged, is_validation_metric, mode_by_module, mode_by_name
from callbacks.checkpointing.reading import BEST, LAST, PREVIOUS
from callbacks.checkpointing.timing import SaveTiming
from foundation.compat.lightning import CheckpointWithLast
from foundation.files import local_folder, remove_leftovers
from foundation.loggers import run_folder
from foundation.metrics.freshness import MeasuredIn


class DurableCheckpoint(CheckpointWithLast):
    """Keep ``best.ckpt``, ``last.ckpt`` and the ``previous.ckpt`` before it in ``<run>/checkpoints``.

    A checkpoint is saved at the end of an epoch, after validation, and optionally every few steps or minutes. It is
    saved only where the run can resume exactly: not inside an open accumulation window, not on a batch that a
    validation follows, not on an epoch's last batch. A save that is due there waits for the next batch or the epoch's
    end. A best model found by a validation in mid-epoch is saved right after that validation.

    The files are written by `DurableCheckpointIO`, which replaces Lightning's default (another checkpoint plugin that
    you gave to the Trainer stays).

    Args:
        monitor: Logged value that decides which model is the best; None: no best. In a run without validation there is
            no ``val…`` value: a warning, and no best.
        mode: ``"min"``, lower is better, or ``"max"``; None: what is known of the metric by its name, or by the
            module's torchmetrics object of that name.
        save_top_k: ≥ -1. 1: ``best.ckpt``. k > 1: also the k best, named by epoch and step. 0: no best. -1: every one.
        every_n_epochs: ≥ 1, in epochs; the last epoch is always saved.
        every_n_train_steps: ≥ 1, in optimizer steps; None: not by steps.
        train_time_interval: Least time between two saves, as ``"00:15:00"``; None: not by time.
        dirpath: Folder of this machine; None: ``checkpoints`` in the run's folder. Where another run has saved
            checkpoints, this run saves in ``1``, ``2``, … below it.
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
        monitor: str | None = "val/loss",
        mode: Literal["min", "max"] | None = None,
        save_top_k: int = 1,
        every_n_epochs: int = 1,
        every_n_train_steps: int | None = None,
        train_time_interval: timedelta | None = None,
        dirpath: str | Path | None = None,
        background: bool = False,
    ) -> None:
        if save_top_k < -1 or (save_top_k not in (0, 1) and monitor is None):
            raise ValueError(f"save_top_k must be ≥ -1, and 0 or 1 without a monitor, got {save_top_k}.")
        self.configured_mode = mode_by_name(monitor, mode)
        super().__init__(monitor=monitor, mode=self.configured_mode or "min", save_top_k=save_top_k, save_last=True)
        self.timing = SaveTiming(every_n_epochs, every_n_train_steps, train_time_interval)
        self.configured_dirpath = None if dirpath is None else local_folder("dirpath", dirpath)
        self.background = background
        self.folder = Path()
        self.has_folder = False  # whether the folder is this run's own: from the first save on
        self.ranking = Ranking(self.mode, save_top_k if monitor is not None else 0)
        self.validated = self.unflushed = False
        self.run_metadata: dict[str, Any] = {}
        self.measured = MeasuredIn()

    @property
    def state_key(self) -> str:
        """Name the monitored value only: how often to save may change when a run is resumed."""
        return f"{type(self).__qualname__}{{'monitor': {self.monitor!r}, 'mode': {self.mode!r}}}"

    # -- start of a run ------------------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the run's folder and install the checkpoint IO; find out which values of ``monitor`` are better."""
        if stage == "fit":
            if self.monitor is not None and self.save_top_k != 0:  # before the scores are restored, by a key with mode
                self.mode = mode_by_module(self.monitor, self.configured_mode, pl_module)
                self.ranking.set_mode(self.mode)
            before, self.has_folder = self.folder, False
            self._set_folder(trainer, self._place(trainer).choose(trainer))
            if self.folder != before:  # another run
                self.measured, self.ranking.scores = MeasuredIn(), {}
        replaceable = (TorchCheckpointIO, DurableCheckpointIO) if self.background else (TorchCheckpointIO,)
        if type(trainer.strategy.checkpoint_io) in replaceable:
            trainer.strategy.checkpoint_io = BackgroundCheckpointIO() if self.background else DurableCheckpointIO()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the timing; warn if the run has no validation but ``monitor`` needs one."""
        self.timing.start()
        self.validated = False
        self._set_folder(trainer, self._place(trainer).choose(trainer))  # `setup` does not know what is resumed
        if trainer.is_global_zero:
            remove_leftovers(self.folder)
        self._forget_missing()
        folder = run_folder(trainer)  # a broadcast: every process calls it
        self.run_metadata = run_metadata(trainer, folder) if trainer.is_global_zero else {}
        self.ranking.keep = self.save_top_k if self.monitor is not None else 0
        if self.monitor is not None and is_validation_metric(self.monitor) and not trainer.enable_validation:
            self.ranking.keep = 0
            rank_zero_warn(
                f"This run has no validation, so the checkpoint cannot monitor {self.monitor!r}: there will be {LAST},"
                f" but no {BEST}. Give it validation data, or a value that training logs: monitor='train/loss'."
            )

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check ``monitor``: the sanity check is the first validation."""
        if trainer.callback_metrics:
            self._check_monitor(trainer, of_validation=True)

    # -- when to save --------------------------------------------------------------------------------------------------

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
        if not trainer.is_last_batch and self._new_score(trainer) is not None:
            self.save(trainer, only_if_best=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save at the end of an epoch, after the module's own hook."""
        self.measured.note(trainer.callback_metrics, trainer.current_epoch)
        self._check_monitor(trainer, of_validation=False)
        if self.timing.save_after_epoch(trainer):
            self.save(trainer, rank=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save nothing: in the middle of a step no exact resume can start, and the checkpoint before is on the disk."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save nothing: the end of the last epoch was saved."""

    # -- saving --------------------------------------------------------------------------------------------------------

    def save(self, trainer: Trainer, rank: bool = False, only_if_best: bool = False) -> None:
        """Write ``last.ckpt`` now; every process calls this.

        Args:
            trainer: The running trainer.
            rank: Also add the model to the best ones, if its score is good enough.
            only_if_best: Write nothing unless it is.
        """
        score = self._new_score(trainer) if rank or only_if_best else None
        self.validated = self.validated and score is None
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
        return ([name, BEST] if self.ranking.best == name else [name]), dropped

    def _write(self, trainer: Trainer, files: list[Path], dropped: list[str]) -> None:
        """Write the best before the last: after a crash between them the resumed run finds the same best again."""
        strategy = trainer.strategy
        sharded = isinstance(strategy, (DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy))  # without the IO
        if not sharded and isinstance(strategy.checkpoint_io, DurableCheckpointIO):
            keep = ((self.folder / LAST, self.folder / PREVIOUS),)
            remove = tuple(self.folder / name for name in dropped)
            trainer.save_checkpoint(files[0], False, storage_options=NameChanges(tuple(files[1:]), keep, remove))
            return
        for file in files:
            trainer.save_checkpoint(file, False)
        for name in dropped:
            trainer.strategy.remove_checkpoint(self.folder / name)

    # -- the monitored value -------------------------------------------------------------------------------------------

    def _new_score(self, trainer: Trainer) -> float | None:
        """Return the monitored value if it was measured since the last save."""
        if self.monitor is None or (is_validation_metric(self.monitor) and not self.validated):
            return None
        value = trainer.callback_metrics.get(self.monitor)
        return None if value is None else float(value)

    def _check_monitor(self, trainer: Trainer, of_validation: bool) -> None:
        if self.monitor and self.ranking.keep != 0 and is_validation_metric(self.monitor) == of_validation:
            check_is_logged(self.monitor, trainer.callback_metrics)

    def _forget_missing(self) -> None:
        if missing := self.ranking.forget_missing(self.folder):
            rank_zero_warn(
                f"The checkpoint has scores of files that are not in {self.folder}: {', '.join(missing)}. It forgets"
                " them."
            )
        self._publish()

    def _publish(self, saved: bool = False) -> None:
        """Set the attributes that ``trainer.test(ckpt_path="best")`` and loggers read."""
        best = self.ranking.best
        self.best_k_models = {str(self.folder / n): torch.tensor(score) for n, score in self.ranking.scores.items()}
        self.best_model_score = None if best is None else torch.tensor(self.ranking.scores[best])
        self.best_model_path = "" if best is None else str(self.folder / BEST)
        if saved:
            self.last_model_path = str(self.folder / LAST)
            self.best_model_path = self.best_model_path or self.last_model_path

    # -- state ---------------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add metadata: config, versions, metrics, scores."""
        monitored = {"monitor": self.monitor, "mode": self.mode, "scores": dict(self.ranking.scores)}
        self.measured.note(trainer.callback_metrics, trainer.current_epoch)
        checkpoint[KEY] = self.run_metadata | save_metadata(trainer) | monitored | self.measured.metadata()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore the metrics."""
        self.measured.load(checkpoint.get(KEY, {}))

    def state_dict(self) -> dict[str, Any]:
        """Return the scores of the kept checkpoints by file name, so that a run's folder can be moved."""
        return {"scores": dict(self.ranking.scores)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the scores; `on_train_start` forgets those whose files are not in this run's folder."""
        self.ranking.scores = dict(state_dict.get("scores", {}))

    # -- folder --------------------------------------------------------------------------------------------------------

    def _place(self, trainer: Trainer) -> CheckpointFolder:
        root = self.configured_dirpath or run_folder(trainer, or_error=True) / "checkpoints"
        ours = [each for each in trainer.checkpoint_callbacks if isinstance(each, DurableCheckpoint)]  # type: ignore[attr-defined]
        same = [each for each in ours if each.configured_dirpath == self.configured_dirpath]
        return shared_folder(
            root, [f"{each.monitor}_{each.mode}" for each in same], same.index(self) if self in same else 0
        )

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
