"""One pass of a range test: a rate for each optimizer step, the loss at each, the ratios of the groups kept."""

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from callbacks.gradients.measure import current_scale
from callbacks.learning_rate.suggestions import Floats, divergence
from foundation.errors import UserError

LOOK_EVERY = 10  # steps between two looks at the losses, which wait for the device


def top_rate(group: dict[str, Any]) -> float:
    """The highest rate that a group's schedule goes up to: torch's OneCycleLR keeps it beside the current one."""
    return float(max(group[key] for key in ("lr", "initial_lr", "max_lr") if key in group))


def relative_rates(optimizer: Optimizer) -> list[float]:
    """Each group's rate relative to the first group's.

    Raises:
        UserError: The first group's rate is 0.
    """
    rates = [top_rate(group) for group in optimizer.param_groups]
    if rates[0] == 0:
        raise UserError(
            "The first parameter group has learning rate 0, to which no other can be set in proportion: give it one."
        )
    return [rate / rates[0] for rate in rates]


class LRSweep(Callback):
    """Sets the rates and gathers the losses. Made anew for each pass.

    Args:
        rates: Of the optimizer's first group at each of its steps.
        number: Which optimizer, where there are several; the others keep their rates.
        epoch: The number that the first epoch has, hence the order of the data.
    """

    def __init__(self, rates: Floats, number: int = 0, epoch: int = 0) -> None:
        self.rates, self.number, self.epoch = rates, number, epoch
        self.steps = 0
        self._window: list[Tensor] = []
        self._losses: list[Tensor] = []
        self.losses: Floats = np.empty(0)
        self.diverged = False
        self.relative: list[float] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the schedules away; in manual optimization the module steps them itself, and is overruled."""
        if self.number >= len(trainer.optimizers):
            raise UserError(f"optimizer is {self.number}, but there are {len(trainer.optimizers)}, counted from 0.")
        if pl_module.automatic_optimization:
            trainer.lr_scheduler_configs.clear()
        progress: Any = trainer.fit_loop.epoch_progress.current
        progress.processed = progress.completed = self.epoch
        self.relative = relative_rates(trainer.optimizers[self.number])

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Set the rate."""
        self._set_rates(trainer)

    def _set_rates(self, trainer: Trainer) -> None:
        rate = float(self.rates[min(self.steps, len(self.rates) - 1)])
        for group, relative in zip(trainer.optimizers[self.number].param_groups, self.relative, strict=True):
            group["lr"] = rate * relative

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Keep the loss, unscaled, of the whole accumulation window."""
        scale = current_scale(trainer, loss.device)
        value = loss.detach().float() if scale is None else loss.detach().float() / scale
        self._window.append(value * trainer.accumulate_grad_batches)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the mean gradient of all processes; each of them goes through other data."""
        if not several_processes():
            return
        for parameter in pl_module.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= dist.get_world_size()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """The losses since the last step of any optimizer are those of this one."""
        window, self._window = self._window, []
        if getattr(optimizer, "optimizer", optimizer) is not trainer.optimizers[self.number]:
            return
        self._set_rates(trainer)
        if window and self.steps < len(self.rates):
            self._losses.append(torch.stack(window).mean())
            self.steps += 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the losses now and then; stop at the end of the rates, or where the loss diverged."""
        done = self.steps >= len(self.rates)
        if not (done or (self.steps and self.steps % LOOK_EVERY == 0)) or not self._losses:
            return
        self._read()
        end = divergence(self.losses)
        self.diverged = end < len(self.losses)
        trainer.should_stop = done or self.diverged

    def _read(self) -> None:
        new = torch.stack(self._losses)
        if several_processes():
            dist.all_reduce(new)
            new /= dist.get_world_size()
        self._losses = []
        self.losses = np.concatenate([self.losses, new.double().cpu().numpy()])


def several_processes() -> bool:
    """Whether there are other processes to agree with."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
