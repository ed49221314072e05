"""The exponential schedule."""

from __future__ import annotations

from torch.optim import Optimizer

from lightning_modules.schedulers.checks import check_positive
from lightning_modules.schedulers.curve import Curve
from lightning_modules.schedulers.horizon import Horizon


class ExponentialDecay(Curve):
    r"""The rate falls by the same factor in every epoch, or smoothly down to a given end.

    $\eta_t = \eta_0 \gamma^{\lfloor t / n \rfloor}$ with $n$ steps in an epoch, or $\eta_t = \eta_0 e^{t / T}$ with
    $e$ = `end_factor` and $T$ the steps of the run.

    Args:
        gamma: $\gamma$ > 0, the factor of one epoch; or
        end_factor: $e$ > 0, the rate at the end of the run as a share of the base rate. Exactly one of the two.

    Raises:
        ValueError: an argument is outside its range, or not exactly one is given.

    Example:
        >>> horizon = Horizon(steps=100, epochs=10, steps_per_epoch=10)
        >>> [round(ExponentialDecay(gamma=0.5).factor(step, horizon), 3) for step in (9, 10, 25)]
        [1.0, 0.5, 0.25]
        >>> [round(ExponentialDecay(end_factor=0.01).factor(step, horizon), 3) for step in (0, 50, 100)]
        [1.0, 0.1, 0.01]
    """

    def __init__(self, gamma: float | None = None, end_factor: float | None = None) -> None:
        if (gamma is None) == (end_factor is None):
            raise ValueError(
                f"ExponentialDecay takes either gamma or end_factor, got gamma: {gamma}, end_factor: {end_factor}."
            )
        check_positive(
            "gamma" if end_factor is None else "end_factor", gamma if gamma is not None else end_factor or 0.0
        )
        self.gamma = gamma
        self.end_factor = end_factor

    def check(self, optimizer: Optimizer, horizon: Horizon) -> None:
        """Refuse a run, or an epoch, of unknown length."""
        self.factor(0, horizon)

    def factor(self, step: int, horizon: Horizon) -> float:
        """Return the share of the base rate at `step`."""
        if self.gamma is not None:
            return self.gamma ** (step // horizon.in_steps(1, "ExponentialDecay"))
        assert self.end_factor is not None
        return self.end_factor ** min(1.0, step / max(1, horizon.known_steps("ExponentialDecay")))
