"""One pass of a learning-rate range test: set a rate at each optimizer step and record the loss."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import SGD, Optimizer

from callbacks.gradients.measure import current_scale
from callbacks.learning_rate.held_out import held_out_batches, held_out_loss
from callbacks.learning_rate.run_shape import RunShape, foreign_shape
from callbacks.learning_rate.short_runs import usual_rate
from callbacks.learning_rate.suggestions import Floats, divergence
from foundation.errors import UserError
from foundation.processes import ProgressLines

READ_EVERY = 10  # steps between two reads of the losses, which wait for the device
PATIENCE = 200  # batches without a step of the searched optimizer, or two epochs if those are more
MOST_PATIENCE = 2000
NO_OPTIMIZER = "The module has no optimizer (configure_optimizers returns None): there is no learning rate to find."


def peak_rate(group: dict[str, Any]) -> float:
    """Return the highest rate of a group's schedule; torch's OneCycleLR stores it in the group."""
    return float(max(group[key] for key in ("lr", "initial_lr", "max_lr") if key in group))


def relative_rates(optimizer: Optimizer) -> list[float]:
    """Return each group's rate relative to the first group's.

    Raises:
        UserError: The first group's rate is 0, or there is no rate.
    """
    if not optimizer.param_groups or not all(
        "lr" in group for group in optimizer.param_groups
    ):  # Lightning's stand-in for no optimizer
        raise UserError(NO_OPTIMIZER)
    rates = [peak_rate(group) for group in optimizer.param_groups]
    if rates[0] == 0:
        raise UserError(
            "The first parameter group has learning rate 0, so the other groups have no ratio to it: set one."
        )
    return [rate / rates[0] for rate in rates]


def relative_decay(optimizer: Optimizer) -> float:
    """Return the largest weight decay of a group, times the group's rate relative to the first group's.

    0 for optimizers that divide the decay by the gradient's size, as Adam does, and for those that are not known.
    """
    decays = [
        rate * float(group.get("weight_decay") or 0)
        for group, rate in zip(optimizer.param_groups, relative_rates(optimizer), strict=True)
        if isinstance(optimizer, SGD) or group.get("decoupled_weight_decay")
    ]
    return max(decays, default=0.0)


@dataclass(frozen=True)
class SweepFacts:
    """What a range test has found out besides the losses.

    Args:
        relative: Rate of each group relative to the first group's.
        batches_per_epoch: Infinite if unknown.
        shape: Of a schedule that the module has built for itself.
        usual: Usual best rate of the optimizer, if it is known; see `short_runs.USUAL`.
        held_out: Loss of held-out batches before training.
        decay: See `relative_decay`.
    """

    relative: list[float]
    batches_per_epoch: float
    shape: RunShape | None
    usual: float | None
    held_out: float
    decay: float

    def decay_diverges(self, rate: float) -> str:
        r"""Return why runs at a rate λ diverge whatever the gradient is, if they do.

        With weight decay $w$ a step multiplies the weights by $1 - λw$; above $λw = 2 (1 + m)$ with a momentum $m < 1$
        they grow.
        """
        if not rate * self.decay > 4:
            return ""
        return (
            f"at a rate of {rate:.3g} weight decay alone multiplies the weights by {1 - rate * self.decay:.3g} in each "
            "step, so that they grow: lower weight_decay (times the rate it must stay far below 1)."
        )


class LRSweep(Callback):
    """Set the rates and record the losses of one pass.

    Args:
        rates: Of the optimizer's first group, at each step.
        index: Of the optimizer, if there are several; the others keep their rates.
        epoch: Number of the first epoch, which decides the order of the data.
        judge: Whether to compute the loss of held-out batches at the end.
        progress: Told the number of steps now and then; `None` for no lines.
    """

    def __init__(
        self,
        rates: Floats,
        index: int = 0,
        epoch: int = 0,
        judge: bool = False,
        progress: ProgressLines | None = None,
    ) -> None:
        self.rates, self.index, self.epoch, self.judge, self.progress = rates, index, epoch, judge, progress
        self.held_out: float = float("inf")
        self.held_out_is_validation = False
        self.batches_per_epoch: float = float("inf")
        self.shape: RunShape | None = None
        self.usual: float | None = None
        self.steps = self.waited = 0
        self._window: list[Tensor] = []
        self._losses: list[Tensor] = []
        self.losses: Floats = np.empty(0)
        self.diverged = False
        self.relative: list[float] = []
        self.decay = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the schedules; in manual optimization the module steps them, and `_set_rates` overrides the result."""
        if not trainer.optimizers:
            raise UserError(NO_OPTIMIZER)
        if self.index >= len(trainer.optimizers):
            raise UserError(f"optimizer is {self.index}, but there are {len(trainer.optimizers)}, counted from 0.")
        self.batches_per_epoch = trainer.num_training_batches
        self.usual = usual_rate(trainer.optimizers[self.index])
        if pl_module.automatic_optimization:
            self.shape = foreign_shape(trainer, self.index)
            trainer.lr_scheduler_configs.clear()
        progress: Any = trainer.fit_loop.epoch_progress.current
        progress.processed = progress.completed = self.epoch
        self.relative = relative_rates(trainer.optimizers[self.index])
        self.decay = relative_decay(trainer.optimizers[self.index])

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Set the rate."""
        self._set_rates(trainer)
        if not self.judge and batch_idx == 0 and not self.steps and pl_module.automatic_optimization:
            self._judge_held_out(trainer, pl_module, batch)  # before training

    def _set_rates(self, trainer: Trainer) -> None:
        rate = float(self.rates[min(self.steps, len(self.rates) - 1)])
        for group, relative in zip(trainer.optimizers[self.index].param_groups, self.relative, strict=True):
            group["lr"] = rate * relative

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Record the unscaled loss of a batch of the accumulation window."""
        scale = current_scale(trainer, loss.device)
        value = loss.detach().float() if scale is None else loss.detach().float() / scale
        self._window.append(value * trainer.accumulate_grad_batches)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Average the gradients over processes; each has other data."""
        if not is_distributed():
            return
        for parameter in pl_module.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= dist.get_world_size()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Record the losses since the last step of any optimizer, if this is the searched one."""
        window, self._window = self._window, []
        if getattr(optimizer, "optimizer", optimizer) is not trainer.optimizers[self.index]:
            return
        self._set_rates(trainer)
        if window and self.steps < len(self.rates):
            self._losses.append(torch.stack(window).mean())
            self.steps += 1
            self.waited = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Read the losses every few steps; stop after the last rate or when the loss diverges.

        Raises:
            UserError: The searched optimizer takes no steps, or there is no loss.
        """
        if self.progress is not None:
            self.progress.at(f"step {self.steps}")
        self.waited += 1
        if self.waited > min(max(PATIENCE, 2 * trainer.num_training_batches), MOST_PATIENCE):
            raise UserError(self._why_it_waits(trainer))
        done = self.steps >= len(self.rates)
        if not (done or (self.steps and self.steps % READ_EVERY == 0)) or not self._losses:
            return
        self._read()
        # The rate of a short run does not rise: a loss that is only large comes from a small batch, and may fall again.
        end = int(np.isfinite(self.losses).sum()) if self.judge else divergence(self.losses)
        self.diverged = end < len(self.losses)
        trainer.should_stop = done or self.diverged
        if self.judge and done and not self.diverged:
            self._judge_held_out(trainer, pl_module, batch)

    def _judge_held_out(self, trainer: Trainer, module: LightningModule, batch: Any) -> None:
        batches, self.held_out_is_validation = held_out_batches(trainer, module, batch)
        loss = held_out_loss(trainer, module, batches)
        self.held_out = loss if np.isfinite(loss) else float("inf")

    def facts(self) -> "SweepFacts":
        """Return what the pass has found out about the module and its run."""
        return SweepFacts(self.relative, self.batches_per_epoch, self.shape, self.usual, self.held_out, self.decay)

    def _why_it_waits(self, trainer: Trainer) -> str:
        several = len(trainer.optimizers) > 1
        which = f"Optimizer {self.index} of {len(trainer.optimizers)}" if several else "The optimizer"
        other = " Search another one with --optimizer." if several else ""
        return (
            f"{which} took no step with a loss in {self.waited - 1} batches, so there is no curve to read a rate from:"
            f" training_step must return a loss, or call manual_backward and the optimizer's step.{other}"
        )

    def _read(self) -> None:
        new = torch.stack(self._losses)
        if is_distributed():
            dist.all_reduce(new)
            new /= dist.get_world_size()
        self._losses = []
        self.losses = np.concatenate([self.losses, new.double().cpu().numpy()])


def is_distributed() -> bool:
    """Return whether there are several processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
