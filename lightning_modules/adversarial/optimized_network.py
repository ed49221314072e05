"""One of two networks that are trained against each other, with its own optimizer, schedule and count of steps."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn

from lightning_modules.optimizers.build import build_optimizer
from lightning_modules.optimizers.hyperparameters import check_hyperparameters
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.optimizers.taken_steps import TakenSteps
from lightning_modules.schedulers.build import build_schedule
from lightning_modules.schedulers.factory import ScheduleFactory
from lightning_modules.schedulers.run_length import RunLength


class OptimizedNetwork:
    """Builds the optimizer and schedule of a network, and steps the schedule as Lightning would.

    Args:
        name: In logs and messages.
        network: Whose parameters are optimized.
        optimizer: Makes the optimizer.
        scheduler: Makes the schedule; `None` keeps the rate.
        groups: Of the parameters; `None` treats all alike.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        optimizer: OptimizerCallable,
        scheduler: ScheduleFactory | LRSchedulerCallable | None,
        groups: ParameterGroups | None,
    ) -> None:
        check_hyperparameters(optimizer)
        self.name, self.network, self.make_optimizer = name, network, optimizer
        self.make_schedule, self.groups = scheduler, groups
        self.taken = 0  # steps that a resumed run had taken
        self.steps: TakenSteps | None = None
        self.schedule: dict[str, Any] | None = None

    def build(self, trainer: Trainer) -> dict[str, Any]:
        """Make optimizer and schedule, over the run's actual length; Lightning's config of both."""
        optimizer = build_optimizer(self.make_optimizer, self.network, self.groups)
        self.steps, self.taken = TakenSteps(optimizer, self.taken), 0
        self.schedule = build_schedule(self.make_schedule, optimizer, RunLength.from_trainer(trainer))
        if self.schedule is None:
            return {"optimizer": optimizer}
        # the rest would be ignored with a warning: in manual optimization `advance` steps
        kept = {key: self.schedule[key] for key in ("scheduler", "interval", "frequency")}
        return {"optimizer": optimizer, "lr_scheduler": {**kept, "name": f"lr/{self.name}"}}

    def advance(self, step: int, epoch: int, epoch_ends: bool) -> None:
        """Step the schedule, unless the gradient scaler skipped every optimizer step since this was last called.

        Args:
            step: Steps in this epoch, this one included.
            epoch: Epochs, this one included.
            epoch_ends: Whether this step was the epoch's last.
        """
        assert self.steps is not None
        if self.schedule is None or not self.steps.advanced():
            return
        by_step = self.schedule["interval"] == "step"
        done = step if by_step else epoch
        if (by_step or epoch_ends) and done % self.schedule.get("frequency", 1) == 0:
            self.schedule["scheduler"].step()
