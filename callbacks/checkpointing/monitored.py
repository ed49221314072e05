"""The part of the checkpoint callback that knows the best models: the monitored value, the ranking, their state."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from callbacks.checkpointing.metadata import KEY, save_metadata
from callbacks.checkpointing.ranking import Ranking, check_is_logged, is_validation_metric, mode_by_module, mode_by_name
from callbacks.checkpointing.reading import BEST, LAST
from foundation.compat.lightning import CheckpointWithLast, loaded_checkpoint
from foundation.errors import UserError
from foundation.metrics.direction import Direction
from foundation.metrics.freshness import MeasuredIn
from foundation.metrics.names import by_canonical_name

POSITION: dict[str | None, Callable[[Trainer], int]] = {
    "epoch": lambda trainer: trainer.current_epoch,
    "step": lambda trainer: trainer.global_step,
}
"""What can be monitored without being logged."""
DEFAULT = "val/loss"
"""What Descent's own modules log; another module may log it under another name."""


class MonitoredCheckpoint(CheckpointWithLast):
    """Base of `DurableCheckpoint`, which explains the arguments."""

    def __init__(self, monitor: str | None, mode: Direction | None, save_top_k: int, **options: Any) -> None:
        if save_top_k < -1:
            raise ValueError(f"save_top_k must be ≥ -1, got {save_top_k}.")
        self.ranks_newest = monitor is None and save_top_k not in (0, 1)
        self.logged_as = monitor
        default = mode or "max" if monitor in POSITION or self.ranks_newest else mode
        self.configured_mode = mode_by_name(monitor, default)
        super().__init__(monitor=monitor, mode=self.configured_mode or "min", save_top_k=-1, save_last=True, **options)
        self.save_top_k = save_top_k  # Lightning's own refuses k > 1 without a monitor
        self.ranking = Ranking("max" if self.ranks_newest else self.mode, self._number_kept())
        self.folder = Path()
        self.validated = False
        self.run_metadata: dict[str, Any] = {}
        self.measured = MeasuredIn()

    @property
    def state_key(self) -> str:
        """Name the monitored value only: how often to save may change when a run is resumed."""
        return f"{type(self).__qualname__}{{'monitor': {self.monitor!r}, 'mode': {self.mode!r}}}"

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse to resume from a file that holds the weights only."""
        if trainer.ckpt_path is not None and "optimizer_states" not in loaded_checkpoint(trainer):
            raise UserError(
                f"{trainer.ckpt_path} holds weights only (save_weights_only), so no run can resume from it: load the "
                "weights into the module, and start a new fit."
            )

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check ``monitor``: the sanity check is the first validation."""
        if trainer.callback_metrics:
            self._check_monitor(trainer, of_validation=True)

    def _set_mode(self, module: LightningModule) -> None:
        self.logged_as = self.monitor
        if self.monitor is not None and self.monitor not in POSITION and self.save_top_k != 0:
            self.mode = mode_by_module(self.monitor, self.configured_mode, module)
            self.ranking.set_mode(self.mode)

    def _number_kept(self) -> int:
        return self.save_top_k if self.logged_as is not None or self.ranks_newest else 0

    def _forget_all(self) -> None:
        self.measured, self.ranking.scores = MeasuredIn(), {}

    def _start_ranking(self, trainer: Trainer) -> None:
        self.ranking.keep = self._number_kept()
        if self.logged_as is not None and is_validation_metric(self.logged_as) and not trainer.enable_validation:
            self.ranking.keep = 0
            rank_zero_warn(
                f"This run has no validation, so the checkpoint cannot monitor {self.monitor!r}: there will be {LAST},"
                f" but no {BEST}. Give it validation data, or a value that training logs: monitor='train/loss'."
            )

    # -- the monitored value -------------------------------------------------------------------------------------------

    def _new_score(self, trainer: Trainer) -> float | None:
        """Return the monitored value if it was measured since the last save; the step where the newest are kept."""
        if self.ranks_newest:
            return float(trainer.global_step)
        if self.monitor in POSITION:
            return float(POSITION[self.monitor](trainer))
        if self.logged_as is None or (is_validation_metric(self.monitor or "") and not self.validated):
            return None
        value = trainer.callback_metrics.get(self.logged_as)
        return None if value is None else float(value)

    def _check_monitor(self, trainer: Trainer, of_validation: bool) -> None:
        if self.monitor in POSITION:
            return
        if not self.monitor or self.ranking.keep == 0 or is_validation_metric(self.monitor) != of_validation:
            return
        logged = trainer.callback_metrics
        if self.monitor == DEFAULT and self.logged_as not in logged:
            self._take_another_name(list(logged))
        elif self.logged_as is not None:
            check_is_logged(self.logged_as, logged)

    def _take_another_name(self, logged: list[str]) -> None:
        """Rank by the validation loss under the name that the module logs it by; by nothing if it logs none."""
        self.logged_as = by_canonical_name(logged).get(DEFAULT)
        if self.logged_as is None:
            self.ranking.keep = 0
            rank_zero_warn(
                f"No {DEFAULT} is logged, so there will be {LAST}, but no {BEST}. Logged are: "
                f"{', '.join(sorted(logged))}: choose one with --checkpoint.monitor NAME (in Python: monitor=NAME)."
            )
        else:
            rank_zero_info(f"{BEST} is that of the lowest {self.logged_as}; --checkpoint.monitor chooses another.")

    def _forget_missing(self) -> None:
        if missing := self.ranking.forget_missing(self.folder):
            rank_zero_warn(
                f"The checkpoint has scores of files that are not in {self.folder}: {', '.join(missing)}. It forgets"
                " them."
            )
        self._publish()

    def _publish(self, saved: bool = False) -> None:
        """Set the attributes that ``trainer.test(ckpt_path="best")`` and loggers read."""
        best = None if self.ranks_newest else self.ranking.best
        self.best_k_models = {str(self.folder / n): torch.tensor(score) for n, score in self.ranking.scores.items()}
        self.best_model_score = None if best is None else torch.tensor(self.ranking.scores[best])
        self.best_model_path = "" if best is None else str(self.folder / BEST)
        if saved:
            self.last_model_path = str(self.folder / LAST)
            if self.logged_as is None:  # as Lightning does; with a monitor there may be no best
                self.best_model_path = self.last_model_path

    # -- state ---------------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add metadata: config, versions, metrics, scores."""
        monitored = {"monitor": self.logged_as, "mode": self.mode, "scores": dict(self.ranking.scores)}
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
