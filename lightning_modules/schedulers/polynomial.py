"""The polynomial schedule, the straight line among them."""

from __future__ import annotations

from torch.optim import Optimizer

from lightning_modules.schedulers.checks import check_positive, check_share
from lightning_modules.schedulers.curve import Curve, linear
from lightning_modules.schedulers.horizon import Horizon


class Polynomial(Curve):
    r"""The rate falls as a power of what is left of the run: $\eta_t = \eta_0 (e + (1 - e)(1 - t / T)^p)$.

    Args:
        power: $p$ > 0; 1 is a straight line.
        end_factor: $e$ in [0, 1], the rate at the end as a share of the base rate.

    Raises:
        ValueError: an argument is outside its range.

    Example:
        >>> horizon = Horizon(steps=100, epochs=10, steps_per_epoch=10)
        >>> [Polynomial(power=2.0).factor(step, horizon) for step in (0, 50, 100)]
        [1.0, 0.25, 0.0]
    """

    def __init__(self, power: float = 1.0, end_factor: float = 0.0) -> None:
        check_positive("power", power)
        check_share("end_factor", end_factor)
        self.power = power
        self.end_factor = end_factor

    def check(self, optimizer: Optimizer, horizon: Horizon) -> None:
        """Refuse a run of unknown length."""
        horizon.known_steps("Polynomial")

    def factor(self, step: int, horizon: Horizon) -> float:
        """Return the share of the base rate at `step`."""
        share = min(1.0, step / max(1, horizon.known_steps("Polynomial")))
        return linear(self.end_factor, 1.0, (1 - share) ** self.power)
