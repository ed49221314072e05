"""What a module that is tried sees of its run: trainer, data module, epoch and step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from foundation.compat.lightning import trainer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning.pytorch import LightningModule, Trainer

DEFAULT_EPOCHS = 1000  # what Lightning takes where neither epochs nor steps are given


@dataclass(frozen=True)
class World:
    """The run that a trial belongs to.

    Args:
        trainer: Of the run; `None`: there is none, and a trial is as in a run with Lightning's defaults.
        epoch: That the module is told.
        step: Optimizer steps that the run has taken.
        batch_idx: Of the first batch.
        datamodule: Returns the run's data module; `None`: the trial is given the data module itself.
        shows_data: Whether the loaders that the module sees are the run's.
        is_set_up: Whether the module has been set up for this run, so that `setup` would build it again.
    """

    trainer: Trainer | None = None
    epoch: int = 0
    step: int = 0
    batch_idx: int = 0
    datamodule: Callable[[], Any] | None = field(default=None, compare=False)
    shows_data: bool = False
    is_set_up: bool = False

    @classmethod
    def of(cls, trainer: Trainer | None, module: LightningModule) -> World:
        """Return the world of a module whose run may have begun."""
        if trainer is None:
            return cls()
        return cls(trainer, trainer.current_epoch, trainer.global_step, is_set_up=trainer_of(module) is trainer)

    @property
    def limits(self) -> tuple[int | None, int]:
        """Epochs and steps of the run, as Lightning completes them when a fit starts."""
        if self.trainer is None:
            return DEFAULT_EPOCHS, -1
        epochs, steps = self.trainer.max_epochs, self.trainer.max_steps
        if epochs is None:
            epochs = DEFAULT_EPOCHS if steps == -1 else -1
        return epochs, steps

    @property
    def loggers(self) -> int:
        """How many loggers the module sees."""
        return 1 if self.trainer is None else len(self.trainer.loggers)
