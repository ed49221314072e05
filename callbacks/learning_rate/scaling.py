"""Scale learning rates: to a found rate, or to the global batch size."""

from math import sqrt
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch.optim import Optimizer

from callbacks.learning_rate.sweep import peak_rate
from foundation.argument_checks import require_at_least_one, require_choice
from foundation.compat.torch import LAST_LR, inner_schedulers
from foundation.errors import UserError

GROUP_KEYS = ("lr", "initial_lr", "max_lr", "min_lr")
SCHEDULE_ATTRIBUTES = ("base_lrs", "max_lrs", LAST_LR, "targets")


def scale_rates(trainer: Trainer, rate: float, index: int = 0) -> float:
    """Scale the learning rates of an optimizer and its schedules, so that the first group's highest is `rate`.

    A schedule computes its rates from copies of the base rates: torch keeps them in `base_lrs` (CyclicLR also in
    `max_lrs`, OneCycleLR in the groups). Rates that a schedule was given as numbers, such as `eta_min`, stay.

    Args:
        trainer: With optimizers and schedules built, before the first step.
        rate: > 0.
        index: Of the optimizer.

    Returns:
        The factor.
    """
    optimizer = trainer.optimizers[index]
    peaks = [schedule.max_lrs[0] for schedule in _schedules(trainer, optimizer) if hasattr(schedule, "max_lrs")]
    factor = rate / max(peak_rate(optimizer.param_groups[0]), *peaks, 0.0)  # max_lrs are CyclicLR's
    multiply_rates(trainer, factor, index)
    return factor


def multiply_rates(trainer: Trainer, factor: float, index: int = 0) -> None:
    """Multiply every learning rate of the optimizer `index` and of its schedules; see `scale_rates`."""
    optimizer = trainer.optimizers[index]
    for group in optimizer.param_groups:
        group.update({key: group[key] * factor for key in GROUP_KEYS if key in group})
    for schedule in _schedules(trainer, optimizer):
        _scale(schedule, factor)


def _schedules(trainer: Trainer, optimizer: Optimizer) -> list[Any]:
    schedules = [s for config in trainer.lr_scheduler_configs for s in _nested(config.scheduler)]
    return [schedule for schedule in schedules if schedule.optimizer is optimizer]


def _nested(schedule: Any) -> list[Any]:
    """Return the schedule and those inside it: warmups, SequentialLR, ChainedScheduler."""
    inside = [getattr(schedule, "inner", None), *inner_schedulers(schedule)]
    return [schedule, *(inner for child in inside if child is not None for inner in _nested(child))]


def _scale(schedule: Any, factor: float) -> None:
    for name in SCHEDULE_ATTRIBUTES:
        rates = vars(schedule).get(name)
        if isinstance(rates, (list, tuple)):
            setattr(schedule, name, [value * factor for value in rates])


Rule = Literal["none", "linear", "sqrt"]


class ScaledRate(Callback):
    r"""Scale the learning rates to the global batch size, and print one line about it.

    The global batch size $G$ is batch size × processes × accumulated batches; the rate was tuned at batch size $T$:

    $\eta' = \eta$ (`none`), $\eta \frac{G}{T}$ (`linear`, for SGD), $\eta \sqrt{G / T}$ (`sqrt`, for Adam and similar).

    Every rate of optimizers and schedules is scaled before the first step. A linearly scaled rate needs a warmup. A
    resumed run keeps the rates of its checkpoint. It logs nothing.

    Args:
        rule: `none`, `linear` or `sqrt`.
        tuned_at: $T$ ≥ 1, samples an optimizer step; `None`: the batch size of one process, for a rate that was found
            on one device without accumulation.

    Raises:
        ValueError: An argument is outside its range.
        UserError: The data has no `batch_size`.

    Reference:
        P. Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017 (linear, warmup).
        S. Malladi et al., "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms", 2022 (sqrt).
    """

    def __init__(self, rule: Rule = "linear", tuned_at: int | None = None) -> None:
        require_choice("rule", rule, ("none", "linear", "sqrt"))
        require_at_least_one(tuned_at=1 if tuned_at is None else tuned_at)
        self.rule, self.tuned_at = rule, tuned_at

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Scale the rates before the first step of a schedule."""
        batch = batch_size_of(trainer)
        if batch is None:
            if self.rule == "none":
                return
            raise UserError(
                "ScaledRate needs the batch size, and the data has no batch_size: give it that "
                "attribute, or remove ScaledRate and set the learning rate for the global batch by hand."
            )
        size = batch * trainer.world_size * trainer.accumulate_grad_batches
        tuned = self.tuned_at or batch
        parts = [f"{trainer.world_size} processes × {batch}"]
        parts += [f"× {trainer.accumulate_grad_batches} accumulated"] if trainer.accumulate_grad_batches > 1 else []
        text = f"global batch {' '.join(parts)} = {size}"
        if trainer.ckpt_path is not None:
            rank_zero_info(f"{text}: the run is resumed with the learning rate of its checkpoint.")
        elif self.rule == "none":
            rank_zero_info(f"{text}: the learning rate is not scaled (callbacks/scaled_rate.yaml does it).")
        else:
            rank_zero_info(f"{text}, tuned at {tuned}: {self._scale(trainer, size / tuned)}.")

    def _scale(self, trainer: Trainer, ratio: float) -> str:
        factor = ratio if self.rule == "linear" else sqrt(ratio)
        before = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
        for index in range(len(trainer.optimizers)):
            multiply_rates(trainer, factor, index)
        after = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
        pairs = (f"{float(b):.4g} → {float(a):.4g}" for b, a in zip(before, after, strict=True))
        return f"learning rate × {factor:.4g} ({self.rule}), lr {', '.join(pairs)}"


def batch_size_of(trainer: Trainer) -> int | None:
    """Return the batch size of one process, if the data has a `batch_size`."""
    data: Any = getattr(trainer, "datamodule", None)
    size = getattr(data, "batch_size", None)
    return size if isinstance(size, int) else None
