"""The schedule that drops at given places."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from torch.optim import Optimizer

from lightning_modules.schedulers.checks import check_positive
from lightning_modules.schedulers.curve import Curve
from lightning_modules.schedulers.horizon import Horizon
from lightning_modules.schedulers.span import Span


class Milestones(Curve):
    r"""Multiply the rate by `gamma` at each milestone: $\eta_t = \eta_0 \gamma^{n}$, $n$ milestones being past.

    They are counted from the start of the run, a warm-up included, as papers do.

    Args:
        steps: the milestones in optimizer steps; or
        epochs: in epochs; or
        fractions: as shares of the run. Exactly one of the three is given, in rising order.
        gamma: $\gamma$ > 0, what a milestone multiplies the rate by.

    Raises:
        ValueError: an argument is outside its range, or not exactly one list is given.

    Example:
        >>> horizon = Horizon(steps=100, epochs=10, steps_per_epoch=10)
        >>> [round(Milestones(fractions=[0.5, 0.75]).factor(step, horizon), 4) for step in (49, 50, 75)]
        [1.0, 0.1, 0.01]

    Reference: He et al. Deep Residual Learning for Image Recognition. 2016 (drops at 1/2 and 3/4 of the run).
    """

    def __init__(
        self,
        steps: list[int] | None = None,
        epochs: list[float] | None = None,
        fractions: list[float] | None = None,
        gamma: float = 0.1,
    ) -> None:
        given = [("steps", steps), ("epochs", epochs), ("fraction", fractions)]
        chosen = [(unit, values) for unit, values in given if values is not None]
        if len(chosen) != 1:
            said = ", ".join(unit for unit, _ in chosen) or "none of them"
            raise ValueError(f"Milestones takes exactly one of steps, epochs and fractions, got {said}.")
        unit, values = chosen[0]
        if not values or any(low >= high for low, high in pairwise(values)):
            raise ValueError(f"Milestones must be given in rising order, at least one, got {values}.")
        self.spans = [Span("Milestones", **{unit: value}) for value in values]  # type: ignore[arg-type]
        check_positive("gamma", gamma)
        self.gamma = gamma

    def check(self, optimizer: Optimizer, horizon: Horizon) -> None:
        """Refuse a milestone that the run does not reach."""
        self.places(horizon)

    def places(self, horizon: Horizon) -> list[int]:
        """Return the milestones in optimizer steps."""
        return [span.resolve(horizon) for span in self.spans]

    def factor(self, step: int, horizon: Horizon) -> float:
        """Return the share of the base rate at `step`."""
        return self.gamma ** bisect_right(self.places(horizon), step + horizon.start)
