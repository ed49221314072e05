"""The step schedule: a drop at regular intervals."""

from __future__ import annotations

from torch.optim import Optimizer

from lightning_modules.schedulers.checks import check_positive
from lightning_modules.schedulers.curve import Curve
from lightning_modules.schedulers.horizon import Horizon
from lightning_modules.schedulers.span import Span


class StepDecay(Curve):
    r"""Multiply the rate by `gamma` after every interval: $\eta_t = \eta_0 \gamma^{\lfloor t / k \rfloor}$.

    $k$ is the interval in steps. It is counted from the start of the run, a warm-up included, as papers do.

    Args:
        steps: the interval in optimizer steps; or
        epochs: in epochs; or
        fraction: as a share of the run. Exactly one of the three is given.
        gamma: $\gamma$ > 0, what a drop multiplies the rate by.

    Raises:
        ValueError: an argument is outside its range, or not exactly one interval is given.

    Example:
        >>> horizon = Horizon(steps=90, epochs=9, steps_per_epoch=10)
        >>> [round(StepDecay(epochs=3).factor(step, horizon), 4) for step in (0, 29, 30, 60)]
        [1.0, 1.0, 0.1, 0.01]
    """

    def __init__(
        self, steps: int | None = None, epochs: float | None = None, fraction: float | None = None, gamma: float = 0.1
    ) -> None:
        self.span = Span("StepDecay", steps, epochs, fraction)
        check_positive("gamma", gamma)
        self.gamma = gamma

    def check(self, optimizer: Optimizer, horizon: Horizon) -> None:
        """Refuse an interval that is longer than the run."""
        self.span.resolve(horizon)

    def factor(self, step: int, horizon: Horizon) -> float:
        """Return the share of the base rate at `step`."""
        return self.gamma ** ((step + horizon.start + 0.5) // self.span.exact(horizon))  # the nearest step drops
