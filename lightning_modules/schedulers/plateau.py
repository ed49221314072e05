"""Reduce the learning rate when a monitored value stops improving."""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch.utilities import rank_zero_info
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from foundation.argument_checks import require_between, require_fraction
from foundation.compat.torch import PlateauWithComparison
from foundation.metrics.direction import direction_for
from lightning_modules.schedulers.run_length import RunLength
from lightning_modules.schedulers.step_schedule import ScheduleFactory


class PlateauSchedule(LRScheduler):
    """Torch's ReduceLROnPlateau, which gets its values from `observe` instead of `step`.

    Lightning steps a plateau by the number of batches: it misses validations with gradient accumulation, repeats old
    values if validation is rarer than epochs, and loses a step on resume. Here the module passes on the value once, at
    the end of each validation (`observe_plateaus`); `step`, which Lightning calls at every optimizer step, does
    nothing.
    """

    def __init__(self, optimizer: Optimizer, plateau: ReduceLROnPlateau, monitor: str) -> None:
        self.optimizer = optimizer
        self.plateau = plateau
        self.monitor = monitor

    def step(self, epoch: int | None = None) -> None:
        """Do nothing; see the class."""

    def observe(self, value: float) -> None:
        """Take the monitored value of one validation; if patience is over, reduce the rate and print a message."""
        before = self.get_last_lr()
        self.plateau.step(value)
        after = self.get_last_lr()
        if after != before:
            rates = ", ".join(f"{old:.3g} → {new:.3g}" for old, new in zip(before, after, strict=True))
            rank_zero_info(
                f"{self.monitor} has not improved on {self.plateau.best:.6g} for {self.plateau.patience + 1}"
                f" validations: learning rate {rates}."
            )

    def get_last_lr(self) -> list[Any]:
        """Return each group's learning rate."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the counters, the best value and the rates."""
        return self.plateau.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state."""
        self.plateau.load_state_dict(state_dict)


class _SignedPlateau(PlateauWithComparison):
    """torch's plateau, whose relative threshold is a share of the best value's size.

    torch multiplies the best value by 1 − threshold: a best of −1 becomes −0.9999, which the same value again is better
    than, so that the rate is never reduced.
    """

    def is_better(self, value: float, best: float) -> bool:
        """Return whether a value improves on the best one by more than the threshold."""
        if self.threshold_mode == "abs":
            margin = self.threshold
            return value < best - margin if self.mode == "min" else value > best + margin
        worse = best * (1.0 - self.threshold), best * (1.0 + self.threshold)
        return value < min(worse) if self.mode == "min" else value > max(worse)


def plateau_config(optimizer: Optimizer, plateau: ReduceLROnPlateau, monitor: str) -> dict[str, Any]:
    """Return Lightning's config of a plateau that Lightning itself does not pass values to."""
    return {
        "scheduler": PlateauSchedule(optimizer, plateau, monitor),
        "interval": "step",
        "frequency": 1,
        "monitor": monitor,
        "reduce_on_plateau": False,
        "strict": False,
    }


class Plateau(ScheduleFactory):
    r"""Multiply the rate by `factor` when `monitor` has not improved in more than `patience` validations.

    $\eta \leftarrow \max(f \eta, \eta_\text{min})$ after `patience` + 1 validations in a row that were not better than
    the best by `threshold`. torch's `ReduceLROnPlateau` counts; each validation counts once, however many there are per
    epoch, or epochs between them.

    Args:
        monitor: Name of the logged value.
        mode: `min` if smaller is better, `max` if larger is; by default what is known of the metric.
        factor: $f$ in (0, 1).
        patience: Number of validations without improvement to tolerate, ≥ 0.
        threshold: Smallest improvement that counts, ≥ 0.
        threshold_mode: `rel`: as a share of the best value's size, also of a negative one, for which torch's own class
            never reduces the rate; `abs`: in its unit.
        cooldown: Number of validations after a reduction that do not count, ≥ 0.
        min_lr: $\eta_\text{min}$ ≥ 0, for every parameter group.

    Raises:
        ValueError: An argument is outside its range.
        UserError: The mode contradicts the metric, or it is not given and the metric is not a known one.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> config = Plateau(patience=0).build(optimizer, RunLength(steps=3, epochs=3, steps_per_epoch=1))
        >>> for loss in (1.0, 1.0):
        ...     config["scheduler"].observe(loss)
        >>> optimizer.param_groups[0]["lr"]
        0.05
    """

    def __init__(
        self,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] | None = None,
        factor: float = 0.5,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not monitor:
            raise ValueError("monitor must name a logged value such as val/loss, got an empty name.")
        if mode not in ("min", "max", None):
            raise ValueError(f"mode must be min or max, got {mode!r}.")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode must be rel or abs, got {threshold_mode!r}.")
        require_fraction("factor", factor)
        numbers = {"patience": patience, "threshold": threshold, "cooldown": cooldown, "min_lr": min_lr}
        for name, value in numbers.items():
            require_between(name, value, 0)
        self.monitor = monitor
        direction = direction_for("The schedule", monitor, mode)
        self.options: dict[str, Any] = {
            "mode": direction,
            "factor": factor,
            "threshold_mode": threshold_mode,
            **numbers,
        }

    def build(self, optimizer: Optimizer, run_length: RunLength) -> dict[str, Any]:
        """Return Lightning's config of the plateau; `observe_plateaus` passes values to it."""
        return plateau_config(optimizer, _SignedPlateau(optimizer, **self.options, eps=0.0), self.monitor)
