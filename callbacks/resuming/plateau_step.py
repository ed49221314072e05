"""The step of a `ReduceLROnPlateau` at an epoch's end, which Lightning leaves out where a run is resumed."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer

from callbacks.resuming.epoch_state import ends_epoch


class PlateauStep:
    """Make up for the steps that Lightning leaves out.

    It takes the step after the checkpoint of the epoch's end is saved, so that a run which resumes there never takes
    it; and none at the end of an epoch that was resumed in the middle. Descent's own schedules step within validation.
    """

    def __init__(self) -> None:
        self.missed: dict[str, float] = {}
        self.is_due = False

    def values(self, trainer: Trainer) -> dict[str, float]:
        """Return what the schedules watch, to be saved at the end of an epoch; empty within one."""
        return self._watched(trainer) if ends_epoch(trainer) else {}

    def load(self, values: Mapping[str, float]) -> None:
        """Take the values of a checkpoint, whose step is missing."""
        self.missed = dict(values)

    def note_epoch_end(self, trainer: Trainer) -> None:
        """Remember whether Lightning will leave out the step that follows."""
        self.is_due = trainer.fit_loop.restarting and bool(self._configs(trainer))

    def take(self, trainer: Trainer) -> None:
        """Take the step that was left out, if any."""
        values = self._watched(trainer, always=True) if self.is_due else self.missed
        self.missed, self.is_due = {}, False
        progress = trainer.fit_loop.epoch_loop.scheduler_progress
        for config in trainer.lr_scheduler_configs:
            if config.reduce_on_plateau and config.monitor in values:
                progress.increment_ready()
                trainer.lightning_module.lr_scheduler_step(config.scheduler, values[config.monitor])
                progress.increment_completed()

    def _watched(self, trainer: Trainer, always: bool = False) -> dict[str, float]:
        metrics = trainer.callback_metrics
        configs = self._configs(trainer, always)
        return {str(each.monitor): float(metrics[each.monitor]) for each in configs if each.monitor in metrics}

    @staticmethod
    def _configs(trainer: Trainer, always: bool = False) -> list[Any]:
        """Return the schedules that step at the end of this epoch, or of any."""
        if not trainer.lightning_module.automatic_optimization:
            return []
        return [
            config
            for config in trainer.lr_scheduler_configs
            if config.reduce_on_plateau
            and config.interval == "epoch"
            and (always or (trainer.current_epoch + 1) % config.frequency == 0)
        ]
