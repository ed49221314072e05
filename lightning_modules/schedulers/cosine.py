"""The cosine schedule."""

from __future__ import annotations

import math

from torch.optim import Optimizer

from lightning_modules.schedulers.checks import check_share
from lightning_modules.schedulers.curve import Curve, linear
from lightning_modules.schedulers.horizon import Horizon


class Cosine(Curve):
    r"""Half a cosine from the base rate down to its end, over the whole run.

    $$\eta_t = \eta_0 \left(e + (1 - e) \tfrac{1}{2} (1 + \cos(\pi t / T))\right)$$

    with $e$ = `end_factor` and $T$ the steps of the run.

    Args:
        end_factor: the rate at the end as a share of the base rate, in [0, 1]; 1 keeps it constant.

    Raises:
        ValueError: `end_factor` is outside [0, 1].

    Example:
        >>> horizon = Horizon(steps=100, epochs=10, steps_per_epoch=10)
        >>> [round(Cosine().factor(step, horizon), 3) for step in (0, 25, 50, 100)]
        [1.0, 0.854, 0.5, 0.0]

    Reference: Loshchilov, Hutter. SGDR: Stochastic Gradient Descent with Warm Restarts. 2017 (without the restarts).
    """

    def __init__(self, end_factor: float = 0.0) -> None:
        check_share("end_factor", end_factor)
        self.end_factor = end_factor

    def check(self, optimizer: Optimizer, horizon: Horizon) -> None:
        """Refuse a run of unknown length."""
        horizon.known_steps("Cosine")

    def factor(self, step: int, horizon: Horizon) -> float:
        """Return the share of the base rate at `step`."""
        share = min(1.0, step / max(1, horizon.known_steps("Cosine")))
        return linear(self.end_factor, 1.0, (1 + math.cos(math.pi * share)) / 2)
