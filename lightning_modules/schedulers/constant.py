"""The constant schedule."""

from __future__ import annotations

from lightning_modules.schedulers.curve import Curve
from lightning_modules.schedulers.horizon import Horizon


class Constant(Curve):
    r"""The learning rate stays what the optimizer was given: $\eta_t = \eta_0$.

    Example:
        >>> Constant().factor(7, Horizon(steps=10, epochs=1, steps_per_epoch=10))
        1.0
    """

    def factor(self, step: int, horizon: Horizon) -> float:
        """Return 1."""
        return 1.0
