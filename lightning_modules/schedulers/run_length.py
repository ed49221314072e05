"""The length of a run in optimizer steps, and durations given in steps, epochs or as a share of the run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import GradientAccumulationScheduler

from foundation.argument_checks import require_positive
from foundation.compat.lightning_data import load_training_data
from foundation.errors import UserError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


@dataclass(frozen=True)
class RunLength:
    """The length of a run, counted in optimizer steps.

    Args:
        steps: Optimizer steps in the whole run; `None` if the run has no known end.
        epochs: Epochs, a fraction if `max_steps` ends the last one early; `None` if unknown.
        steps_per_epoch: Optimizer steps in one epoch; `None` if an epoch has no fixed length.
        start: Steps before this part of the run begins (a warm-up).
        fast_dev_run: Whether the trainer runs with `fast_dev_run`, which shortens a duration that is too long instead
            of raising an error.

    Example:
        >>> RunLength(steps=100, epochs=10, steps_per_epoch=10).after(20)
        RunLength(steps=80, epochs=8.0, steps_per_epoch=10, start=20, fast_dev_run=False)
    """

    steps: int | None
    epochs: float | None
    steps_per_epoch: int | None
    start: int = 0
    fast_dev_run: bool = False

    @classmethod
    def from_trainer(cls, trainer: Trainer) -> RunLength:
        """Compute the length from the trainer: accumulation, devices, `max_steps`, `max_epochs`, `limit_train_batches`.

        This loads the training data, so call it from `configure_optimizers` or later.
        """
        load_training_data(trainer)  # without an epoch limit estimated_stepping_batches does not load them
        fast_dev_run = bool(getattr(trainer, "fast_dev_run", False))
        callbacks = getattr(trainer, "callbacks", [])
        plan = [callback for callback in callbacks if isinstance(callback, GradientAccumulationScheduler)]
        if plan and trainer.num_training_batches < math.inf and trainer.max_epochs not in (None, -1):
            return cls(planned_steps(trainer, plan[0]), trainer.max_epochs, None, fast_dev_run=fast_dev_run)
        estimated = trainer.estimated_stepping_batches
        steps = int(estimated) if 0 <= estimated < math.inf else None
        per_epoch = None
        if trainer.num_training_batches < math.inf:
            per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches) or None
        epochs = steps / per_epoch if steps is not None and per_epoch else None
        return cls(steps, epochs, per_epoch, fast_dev_run=fast_dev_run)

    def after(self, steps: int) -> RunLength:
        """Return the rest of the run after its first `steps`."""
        left = None if self.steps is None else max(0, self.steps - steps)
        epochs = left / self.steps_per_epoch if left is not None and self.steps_per_epoch else None
        return replace(self, steps=left, epochs=epochs, start=self.start + steps)

    def known_steps(self, who: str) -> int:
        """Return the number of steps, which the schedule `who` needs.

        Raises:
            UserError: The run has no known end.
        """
        if self.steps is None:
            raise UserError(
                f"{who} needs the length of the run, but this run has no known end: set trainer.max_epochs or, for a"
                " loader without a length, trainer.max_steps."
            )
        return self.steps

    def in_steps(self, epochs: float, who: str) -> int:
        """Return the number of steps in `epochs`, rounded to a whole step.

        Raises:
            UserError: An epoch has no fixed number of steps.
        """
        if self.steps_per_epoch is None:
            raise UserError(
                f"{who} counts in epochs, but an epoch of this run has no known length: set"
                " trainer.limit_train_batches, or count in steps."
            )
        return round(epochs * self.steps_per_epoch)


def planned_steps(trainer: Trainer, plan: GradientAccumulationScheduler) -> int:
    """Return the optimizer steps if the accumulation changes by epoch, which Lightning's estimate ignores."""
    assert trainer.max_epochs is not None
    batches = trainer.num_training_batches
    windows = (plan.get_accumulate_grad_batches(epoch) for epoch in range(trainer.max_epochs))
    steps = sum(math.ceil(batches / window) for window in windows)
    return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)


@dataclass(frozen=True)
class Duration:
    """A length of time in exactly one of three units.

    Args:
        who: Name of the schedule, for messages.
        steps: Optimizer steps, > 0.
        epochs: Epochs, > 0.
        fraction: Share of the whole run, in (0, 1).

    Raises:
        ValueError: None or several are given, or one is out of range.

    Example:
        >>> Duration("Warmup", fraction=0.1).resolve(RunLength(steps=200, epochs=2, steps_per_epoch=100))
        20
    """

    who: str
    steps: int | None = None
    epochs: float | None = None
    fraction: float | None = None

    def __post_init__(self) -> None:
        units = {"steps": self.steps, "epochs": self.epochs, "fraction": self.fraction}
        given = {name: value for name, value in units.items() if value is not None}
        if len(given) != 1:
            found = ", ".join(f"{name}: {value}" for name, value in given.items()) or "none of them"
            raise ValueError(
                f"{self.who} takes exactly one of steps, epochs and fraction, got {found}. Set the others to null."
            )
        for name, value in given.items():
            require_positive(name, value)
        if self.fraction is not None and not self.fraction < 1:
            raise ValueError(f"fraction must be in (0, 1), got {self.fraction}.")

    def resolve(self, run_length: RunLength) -> int:
        """Return the length in whole optimizer steps, at least 1; raises like `exact`."""
        return max(1, round(self.exact(run_length)))

    def exact(self, run_length: RunLength) -> float:
        """Return the length in optimizer steps, not rounded.

        Raises:
            UserError: It depends on the length of the run or of an epoch, which is unknown, or it is not shorter than
                the run.
        """
        if self.fraction is not None:
            return self.fraction * (run_length.start + run_length.known_steps(self.who))
        steps = self.steps if self.steps is not None else run_length.in_steps(self.epochs or 0, self.who)
        run = None if run_length.steps is None else run_length.start + run_length.steps
        if run is None or steps < run:
            return steps
        if run_length.fast_dev_run:
            return run
        raise UserError(
            f"{self.who}: {self} ({steps} steps) is not shorter than the run of {run} steps. Train longer, shorten it,"
            " or give it as a share of the run (set fraction, and the other units to null)."
        )

    def __str__(self) -> str:
        if self.steps is not None:
            return f"steps: {self.steps}"
        return f"epochs: {self.epochs:g}" if self.epochs is not None else f"fraction: {self.fraction:g}"
