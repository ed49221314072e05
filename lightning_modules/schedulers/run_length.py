"""How long a run is, in optimizer steps: what a schedule needs and only the trainer knows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import GradientAccumulationScheduler

from foundation.argument_checks import check_positive
from foundation.errors import UserError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


@dataclass(frozen=True)
class RunLength:
    """The length of a run, counted in optimizer steps.

    Args:
        steps: optimizer steps in the whole run; `None` when the run has no known end.
        epochs: passes over the training data, a fraction where `max_steps` cuts the last one; `None` when unknown.
        steps_per_epoch: optimizer steps in one epoch; `None` when an epoch has no fixed length.
        start: steps that came before this run length began (a warm-up).
        rehearsal: a `fast_dev_run`, in which a length that does not fit is cut instead of refused.

    Example:
        >>> RunLength(steps=100, epochs=10, steps_per_epoch=10).after(20)
        RunLength(steps=80, epochs=8.0, steps_per_epoch=10, start=20, rehearsal=False)
    """

    steps: int | None
    epochs: float | None
    steps_per_epoch: int | None
    start: int = 0
    rehearsal: bool = False

    @classmethod
    def from_trainer(cls, trainer: Trainer) -> RunLength:
        """Ask the trainer, which knows accumulation, devices, `max_steps`, `max_epochs` and `limit_train_batches`.

        Loads the training data if it is not loaded yet, so call it from `configure_optimizers` or later.
        """
        trainer.fit_loop.setup_data()  # without an epoch limit estimated_stepping_batches does not
        rehearsal = bool(getattr(trainer, "fast_dev_run", False))
        callbacks = getattr(trainer, "callbacks", [])
        plan = [callback for callback in callbacks if isinstance(callback, GradientAccumulationScheduler)]
        if plan and trainer.num_training_batches < math.inf and trainer.max_epochs not in (None, -1):
            return cls(planned_steps(trainer, plan[0]), trainer.max_epochs, None, rehearsal=rehearsal)
        estimated = trainer.estimated_stepping_batches
        steps = int(estimated) if 0 <= estimated < math.inf else None
        per_epoch = None
        if trainer.num_training_batches < math.inf:
            per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches) or None
        epochs = steps / per_epoch if steps is not None and per_epoch else None
        return cls(steps, epochs, per_epoch, rehearsal=rehearsal)

    def after(self, steps: int) -> RunLength:
        """Return what is left of the run after its first `steps`."""
        left = None if self.steps is None else max(0, self.steps - steps)
        epochs = left / self.steps_per_epoch if left is not None and self.steps_per_epoch else None
        return replace(self, steps=left, epochs=epochs, start=self.start + steps)

    def known_steps(self, who: str) -> int:
        """Return the number of steps for `who` needs it.

        Raises:
            UserError: the run has no known end.
        """
        if self.steps is None:
            raise UserError(
                f"{who} needs the length of the run, and this run has none: set trainer.max_epochs or, for a loader"
                " without a length, trainer.max_steps."
            )
        return self.steps

    def in_steps(self, epochs: float, who: str) -> int:
        """Return the length of `epochs` in steps, rounded to a whole step.

        Raises:
            UserError: an epoch has no fixed number of steps.
        """
        if self.steps_per_epoch is None:
            raise UserError(
                f"{who} counts in epochs, and an epoch of this run has no known length: set"
                " trainer.limit_train_batches, or count in steps."
            )
        return round(epochs * self.steps_per_epoch)


def planned_steps(trainer: Trainer, plan: GradientAccumulationScheduler) -> int:
    """Return the optimizer steps of a run whose accumulation changes by epoch, which Lightning's estimate ignores."""
    assert trainer.max_epochs is not None
    batches = trainer.num_training_batches
    windows = (plan.get_accumulate_grad_batches(epoch) for epoch in range(trainer.max_epochs))
    steps = sum(math.ceil(batches / window) for window in windows)
    return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)


@dataclass(frozen=True)
class Duration:
    """A length, given in exactly one of three units.

    Args:
        who: whose length it is, for messages.
        steps: optimizer steps, > 0.
        epochs: epochs, > 0.
        fraction: share of the whole run, in (0, 1).

    Raises:
        ValueError: none or several are given, or one is out of range.

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
            said = ", ".join(f"{name}: {value}" for name, value in given.items()) or "none of them"
            raise ValueError(
                f"{self.who} takes exactly one of steps, epochs and fraction, got {said}. Set the others to null."
            )
        for name, value in given.items():
            check_positive(name, value)
        if self.fraction is not None and not self.fraction < 1:
            raise ValueError(f"fraction must be in (0, 1), got {self.fraction}.")

    def resolve(self, run_length: RunLength) -> int:
        """Return the length in whole optimizer steps, at least one; raises as `exact` does."""
        return max(1, round(self.exact(run_length)))

    def exact(self, run_length: RunLength) -> float:
        """Return the length in optimizer steps, not rounded.

        Raises:
            UserError: it needs the length of the run or of an epoch and that is not known, or it is not
                shorter than the run.
        """
        if self.fraction is not None:
            return self.fraction * (run_length.start + run_length.known_steps(self.who))
        steps = self.steps if self.steps is not None else run_length.in_steps(self.epochs or 0, self.who)
        run = None if run_length.steps is None else run_length.start + run_length.steps
        if run is None or steps < run:
            return steps
        if run_length.rehearsal:
            return run
        raise UserError(
            f"{self.who}: {self} ({steps} steps) is not shorter than the run of {run} steps. Train longer, shorten it,"
            " or give it as a share of the run (fraction, the other units null)."
        )

    def __str__(self) -> str:
        if self.steps is not None:
            return f"steps: {self.steps}"
        return f"epochs: {self.epochs:g}" if self.epochs is not None else f"fraction: {self.fraction:g}"
