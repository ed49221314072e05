"""A length of time within a run: in optimizer steps, in epochs, or as a share of the run."""

from __future__ import annotations

from dataclasses import dataclass

from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules.schedulers.checks import check_positive
from lightning_modules.schedulers.horizon import Horizon


@dataclass(frozen=True)
class Span:
    """A length, given in exactly one of three units.

    Args:
        who: whose length it is, for messages.
        steps: optimizer steps, > 0.
        epochs: epochs, > 0.
        fraction: share of the whole run, in (0, 1).

    Raises:
        ValueError: none or several are given, or one is out of range.

    Example:
        >>> Span("Warmup", fraction=0.1).resolve(Horizon(steps=200, epochs=2, steps_per_epoch=100))
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

    def resolve(self, horizon: Horizon) -> int:
        """Return the length in whole optimizer steps, at least one; raises as `exact` does."""
        return max(1, round(self.exact(horizon)))

    def exact(self, horizon: Horizon) -> float:
        """Return the length in optimizer steps, not rounded.

        Raises:
            MisconfigurationException: it needs the length of the run or of an epoch and that is not known, or it is not
                shorter than the run.
        """
        if self.fraction is not None:
            return self.fraction * (horizon.start + horizon.known_steps(self.who))
        steps = self.steps if self.steps is not None else horizon.in_steps(self.epochs or 0, self.who)
        run = None if horizon.steps is None else horizon.start + horizon.steps
        if run is None or steps < run:
            return steps
        if horizon.rehearsal:
            return run
        raise MisconfigurationException(
            f"{self.who}: {self} ({steps} steps) is not shorter than the run of {run} steps. Train longer, shorten it,"
            " or give it as a share of the run (fraction, the other units null)."
        )

    def __str__(self) -> str:
        if self.steps is not None:
            return f"steps: {self.steps}"
        return f"epochs: {self.epochs:g}" if self.epochs is not None else f"fraction: {self.fraction:g}"
