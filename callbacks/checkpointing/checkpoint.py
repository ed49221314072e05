"""Checkpoints with stable names, written where an exact resume can start from them."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from callbacks.checkpointing.io import BackgroundCheckpointIO, DurableCheckpointIO, Placement
from callbacks.checkpointing.metadata import KEY, facts_of_moment, facts_of_run
from callbacks.checkpointing.ranking import Ranking, belongs_to_validation, refuse_unlogged
from callbacks.checkpointing.reading import BEST, LAST, PREVIOUS, last_valid
from foundation.compat.lightning import CheckpointWithLast
from foundation.files import remove_leftovers


def validation_follows(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a validation comes right after this training batch, by the counts that the Trainer was given.

    A checkpoint taken just before it would skip that validation on a resume.
    """
    every_epochs = trainer.check_val_every_n_epoch
    every_batches = trainer.val_check_batch
    if not trainer.enable_validation or every_batches is None:  # None: validation by the clock
        return False
    if every_epochs is None:
        return bool((trainer.fit_loop.total_batch_idx + 1) % every_batches == 0)
    return bool((trainer.current_epoch + 1) % every_epochs == 0 and (batch_idx + 1) % every_batches == 0)


def is_final_epoch(trainer: Trainer) -> bool:
    """Whether the epoch that ends now is the fit's last."""
    epochs_done = trainer.max_epochs not in (None, -1) and trainer.current_epoch + 1 >= trainer.max_epochs
    return bool(epochs_done or is_stopping(trainer))


def is_stopping(trainer: Trainer) -> bool:
    """Whether the fit ends now, be it in mid-epoch: enough steps, or a callback said so."""
    return bool(trainer.should_stop or (trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps))


class DurableCheckpoint(CheckpointWithLast):
    """Keep ``best.ckpt``, ``last.ckpt`` and the ``previous.ckpt`` before it in ``<run>/checkpoints``.

    A save happens at the end of an epoch, after validation, and besides, where asked, every so many steps or minutes.
    It never happens where a resume would lose something: inside an open accumulation window, on a batch that a
    validation follows, on an epoch's last batch; it then waits for the next safe point. A best model found by a
    validation in mid-epoch is saved right after that validation.

    The files are written by `DurableCheckpointIO`, which takes the place of Lightning's default (another plugin that
    you gave to the Trainer is left alone).

    Args:
        monitor: Logged value that ``best.ckpt`` follows; None: no best. In a run without any validation a ``val…``
            value cannot be followed: a warning, and no best.
        mode: ``"min"``, lower is better, or ``"max"``.
        save_top_k: ≥ -1. 1: ``best.ckpt``. k > 1: also the k best, named by epoch and step. 0: no best. -1: every one.
        every_n_epochs: ≥ 1, in epochs; the last epoch is always saved.
        every_n_train_steps: ≥ 1, in optimizer steps; None: not by steps.
        train_time_interval: Least time between two saves, as ``"00:15:00"``; None: not by time.
        dirpath: Folder; None: ``checkpoints`` in the run's folder.
        background: Write in a thread while training goes on, at the cost of a copy of everything in memory.

    Raises:
        ValueError: An argument out of its range.
        UserError: Nobody logs ``monitor``; at the first moment at which that is certain.

    Example:
        >>> DurableCheckpoint(monitor="val/accuracy", mode="max").monitor
        'val/accuracy'
    """

    def __init__(
        self,
        monitor: str | None = "val/loss",
        mode: Literal["min", "max"] = "min",
        save_top_k: int = 1,
        every_n_epochs: int = 1,
        every_n_train_steps: int | None = None,
        train_time_interval: timedelta | None = None,
        dirpath: str | Path | None = None,
        background: bool = False,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}.")
        if save_top_k < -1 or (save_top_k not in (0, 1) and monitor is None):
            raise ValueError(f"save_top_k must be ≥ -1, and 0 or 1 without a monitor, got {save_top_k}.")
        for name, value in (("every_n_epochs", every_n_epochs), ("every_n_train_steps", every_n_train_steps)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be ≥ 1, got {value}.")
        super().__init__(monitor=monitor, mode=mode, save_top_k=save_top_k, save_last=True)
        self.every_epochs, self.every_steps, self.every_time = every_n_epochs, every_n_train_steps, train_time_interval
        self.configured_dirpath, self.background = dirpath, background
        self.folder = Path()
        self.ranking = Ranking(mode, save_top_k if monitor is not None else 0)
        self.due = self.validated = self.stopping = self.unflushed = False
        self.saves = 0
        self.facts: dict[str, Any] = {}
        self.metrics: dict[str, float] = {}
        self.step_before = self.saved_step = -1
        self.saved_at = 0.0

    @property
    def state_key(self) -> str:
        """What is followed; how often one saves is left out, so that it may change on a resume."""
        return f"{type(self).__qualname__}{{'monitor': {self.monitor!r}, 'mode': {self.mode!r}}}"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the run's folder and see to it that saves are durable."""
        self.dirpath = str(trainer.strategy.broadcast(str(self._folder_of(trainer))))
        if self.folder != Path(self.dirpath):  # another run
            self.folder, self.metrics, self.ranking.scores = Path(self.dirpath), {}, {}
        replaceable = (TorchCheckpointIO, DurableCheckpointIO) if self.background else (TorchCheckpointIO,)
        if type(trainer.strategy.checkpoint_io) in replaceable:
            trainer.strategy.checkpoint_io = BackgroundCheckpointIO() if self.background else DurableCheckpointIO()
        if stage == "fit" and trainer.is_global_zero:
            remove_leftovers(self.folder)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say it where there is nothing to follow."""
        self.saved_at, self.due, self.validated, self.saved_step = time.monotonic(), False, False, -1
        self.stopping = False
        self._forget_missing()
        self.facts = facts_of_run(self.folder.parent) if trainer.is_global_zero else {}
        self.ranking.keep = self.save_top_k if self.monitor is not None else 0
        if self.monitor is not None and belongs_to_validation(self.monitor) and not trainer.enable_validation:
            self.ranking.keep = 0
            rank_zero_warn(
                f"This run has no validation, so the checkpoint cannot follow {self.monitor!r}: there will be {LAST},"
                f" but no {BEST}. Give it validation data, or follow what training logs: monitor='train/loss'."
            )

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The first moment at which a wrong ``monitor`` can be seen."""
        if trainer.callback_metrics:
            self._check_monitor(trainer, of_validation=True)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Remember the step, to see at the batch's end whether an accumulation window was closed by it."""
        self.step_before = trainer.global_step
        if self.unflushed:
            self._flush_logs(trainer)  # the row of the step that was saved is written after the save
            self.unflushed = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if one is due and this is a safe point."""
        stepped = trainer.global_step != self.step_before
        if stepped and self.every_steps is not None and trainer.global_step % self.every_steps == 0:
            self.due = True
        if self.every_time is not None:
            elapsed = time.monotonic() - self.saved_at >= self.every_time.total_seconds()
            self.due = bool(trainer.strategy.broadcast(self.due or elapsed))
        self.stopping = is_stopping(trainer)
        self.due = self.due or self.stopping
        if self.due and stepped and not trainer.is_last_batch and not validation_follows(trainer, batch_idx):
            self.save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After a validation in mid-epoch: keep the model if it is the best."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        self.validated = True
        self._check_monitor(trainer, of_validation=True)
        extra = self.stopping  # a validation that Lightning adds when a fit is stopped: no moment of the whole run
        if not trainer.is_last_batch and not extra and self._score(trainer) is not None:
            self.save(trainer, only_if_best=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save at the end of an epoch, after the module's own hook."""
        self._check_monitor(trainer, of_validation=False)
        if not trainer.is_last_batch and self.saved_step == trainer.global_step:
            return  # stopped in mid-epoch; the save at the last safe point is one that can be resumed exactly
        if self.due or (trainer.current_epoch + 1) % self.every_epochs == 0 or is_final_epoch(trainer):
            self.save(trainer, rank=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Nothing: in the midst of a step there is no safe point, and the last safe one is on the disk."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing: the last epoch's end was saved."""

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Have the file say what it is."""
        followed = {"monitor": self.monitor, "mode": self.mode, "scores": dict(self.ranking.scores)}
        self.metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        checkpoint[KEY] = self.facts | facts_of_moment(trainer) | followed | {"metrics": dict(self.metrics)}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Know what was measured before."""
        self.metrics = dict(checkpoint.get(KEY, {}).get("metrics", {}))

    def state_dict(self) -> dict[str, Any]:
        """The scores of the checkpoints that are kept, by file name, so that a run's folder can be moved."""
        return {"scores": dict(self.ranking.scores)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the scores; training begins with those whose files are in this run's folder."""
        self.ranking.scores = dict(state_dict.get("scores", {}))

    def _forget_missing(self) -> None:
        scores = self.ranking.scores
        if missing := sorted(name for name in scores if not (self.folder / name).is_file()):
            rank_zero_warn(
                f"The checkpoint ranks {', '.join(missing)}, not in {self.folder}: the scores are forgotten."
            )
            self.ranking.scores = {name: score for name, score in scores.items() if name not in missing}
        self._publish()

    def save(self, trainer: Trainer, rank: bool = False, only_if_best: bool = False) -> None:
        """Write ``last.ckpt`` now; only at a safe point, and on every process.

        Args:
            trainer: The running one.
            rank: Also enter the model among the best, if its score admits it.
            only_if_best: Write nothing otherwise.
        """
        score = self._score(trainer) if rank or only_if_best else None
        self.validated = self.validated and score is None
        enters = bool(trainer.strategy.broadcast(score is not None and self.ranking.admits(score)))
        if getattr(trainer, "fast_dev_run", False) or (only_if_best and not enters):
            return
        names, dropped = self._enter(trainer, score) if enters and score is not None else ([], [])
        self._publish(saved=True)
        self._flush_logs(trainer)  # what was logged before the checkpoint is not lost when it is resumed after a crash
        self.unflushed = True
        self.due, self.saved_at, self.saved_step = False, time.monotonic(), trainer.global_step
        self.saves += 1
        self._write(trainer, [self.folder / name for name in [*names, LAST]], dropped)
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.after_save_checkpoint(self)

    def _flush_logs(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()

    def _enter(self, trainer: Trainer, score: float) -> tuple[list[str], list[str]]:
        alone = self.save_top_k == 1
        name = BEST if alone else f"epoch{trainer.current_epoch:03d}-step{trainer.global_step:06d}.ckpt"
        dropped = self.ranking.add(name, score)
        is_best = not alone and self.ranking.best == name
        return ([name, BEST] if is_best else [name]), dropped

    def _write(self, trainer: Trainer, files: list[Path], dropped: list[str]) -> None:
        """The best comes before the last: a crash between the two repeats an epoch, and finds the same best again."""
        strategy = trainer.strategy
        sharded = isinstance(strategy, (FSDPStrategy, ModelParallelStrategy))  # they write by themselves
        if not sharded and isinstance(strategy.checkpoint_io, DurableCheckpointIO):
            retire = ((self.folder / LAST, self.folder / PREVIOUS),)
            remove = tuple(self.folder / name for name in dropped)
            trainer.save_checkpoint(files[0], False, storage_options=Placement(tuple(files[1:]), retire, remove))
            return
        for file in files:
            trainer.save_checkpoint(file, False)
        for name in dropped:
            trainer.strategy.remove_checkpoint(self.folder / name)

    def _score(self, trainer: Trainer) -> float | None:
        """The followed value if it is a new one."""
        if self.monitor is None or (belongs_to_validation(self.monitor) and not self.validated):
            return None
        value = trainer.callback_metrics.get(self.monitor)
        return None if value is None else float(value)

    def _check_monitor(self, trainer: Trainer, of_validation: bool) -> None:
        if self.monitor and self.ranking.keep != 0 and belongs_to_validation(self.monitor) == of_validation:
            refuse_unlogged(self.monitor, trainer.callback_metrics)

    def _publish(self, saved: bool = False) -> None:
        """Set the attributes that ``trainer.test(ckpt_path="best")`` and loggers read."""
        best = self.ranking.best
        self.best_k_models = {str(self.folder / n): torch.tensor(score) for n, score in self.ranking.scores.items()}
        self.best_model_score = None if best is None else torch.tensor(self.ranking.scores[best])
        self.best_model_path = "" if best is None else str(self.folder / BEST)
        if saved:
            self.last_model_path = str(self.folder / LAST)
            self.best_model_path = self.best_model_path or self.last_model_path

    def _folder_of(self, trainer: Trainer) -> Path:
        return Path(self.configured_dirpath or Path(trainer.log_dir or trainer.default_root_dir) / "checkpoints")

    def last_checkpoints(self, trainer: Trainer) -> set[str]:
        """What ``ckpt_path="last"`` means: the newest valid file, past a damaged one."""
        found, remark = last_valid(self._folder_of(trainer))
        if found is not None and remark:
            rank_zero_warn(remark)
        return set() if found is None else {str(found)}
