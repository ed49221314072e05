"""One of the two networks of a GAN, with its own optimizer, schedule and count of steps."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn

from lightning_modules.optimizers.build import build_optimizer
from lightning_modules.optimizers.hyperparameters import check_hyperparameters
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.optimizers.taken_steps import TakenSteps
from lightning_modules.schedulers.build import build_schedule
from lightning_modules.schedulers.run_length import RunLength
from lightning_modules.schedulers.step_schedule import ScheduleFactory


class OptimizedNetwork:
    """Build the optimizer and schedule of one network, and step the schedule as Lightning would.

    Args:
        name: Name in logs and messages.
        network: The network to optimize.
        optimizer: Creates the optimizer.
        scheduler: Creates the schedule; `None` keeps the learning rate.
        groups: Parameter groups; `None` treats all parameters alike.
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
        self.taken = 0  # steps before the run was resumed
        self.steps: TakenSteps | None = None
        self.schedule: dict[str, Any] | None = None

    def build(self, trainer: Trainer) -> dict[str, Any]:
        """Create optimizer and schedule, over the actual length of the run; return Lightning's config of both."""
        optimizer = build_optimizer(self.make_optimizer, self.network, self.groups)
        self.steps, self.taken = TakenSteps(optimizer, self.taken), 0
        self.schedule = build_schedule(self.make_schedule, optimizer, RunLength.from_trainer(trainer))
        if self.schedule is None:
            return {"optimizer": optimizer}
        # Lightning warns of other keys in manual optimization, where `step_schedule` steps.
        kept = {key: self.schedule[key] for key in ("scheduler", "interval", "frequency")}
        return {"optimizer": optimizer, "lr_scheduler": {**kept, "name": f"lr/{self.name}"}}

    def step_schedule(self, step: int, epoch: int, epoch_ends: bool) -> None:
        """Step the schedule, unless the gradient scaler skipped every optimizer step since the last call.

        Args:
            step: Number of this step in its epoch, from 1.
            epoch: Number of this epoch, from 1.
            epoch_ends: Whether this is the last step of the epoch.
        """
        assert self.steps is not None
        if self.schedule is None or not self.steps.advanced():
            return
        by_step = self.schedule["interval"] == "step"
        done = step if by_step else epoch
        if (by_step or epoch_ends) and done % self.schedule.get("frequency", 1) == 0:
            self.schedule["scheduler"].step()
