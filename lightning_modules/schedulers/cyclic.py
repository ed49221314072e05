"""The triangular schedule: up and down between two rates."""

from __future__ import annotations

from typing import Literal

from torch.optim import Optimizer

from lightning_modules.schedulers.checks import check_momentum, check_positive, check_share
from lightning_modules.schedulers.curve import Curve, linear, require_momentum
from lightning_modules.schedulers.horizon import Horizon
from lightning_modules.schedulers.span import Span


class Cyclic(Curve):
    r"""The rate runs up from `low_factor` × the base rate to the base rate and down again, cycle after cycle.

    Args:
        steps: one cycle, up and down, in optimizer steps; or
        epochs: in epochs; or
        fraction: as a share of the run. Exactly one of the three is given.
        low_factor: the lowest rate as a share of the base rate, in [0, 1].
        up: the share of a cycle that rises, in (0, 1).
        mode: `triangular`: every cycle alike; `triangular2`: each half as high as the last; `exp_range`: `gamma` to
            the power of the step.
        gamma: the factor of one step under `exp_range`, > 0.
        cycle_momentum: move the momentum (Adam's first beta) the other way.
        base_momentum: momentum at the peak of the rate, in [0, 1).
        max_momentum: momentum at the lowest rate, in [0, 1).

    Raises:
        ValueError: an argument is outside its range, or not exactly one length is given.

    Example:
        >>> horizon = Horizon(steps=100, epochs=10, steps_per_epoch=10)
        >>> cyclic = Cyclic(fraction=0.2, low_factor=0.5)
        >>> [cyclic.factor(step, horizon) for step in (0, 10, 15, 20)]
        [0.5, 1.0, 0.75, 0.5]

    Reference: Smith. Cyclical Learning Rates for Training Neural Networks. 2017.
    """

    def __init__(
        self,
        steps: int | None = None,
        epochs: float | None = None,
        fraction: float | None = None,
        low_factor: float = 0.1,
        up: float = 0.5,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
    ) -> None:
        self.span = Span("Cyclic", steps, epochs, fraction)
        if mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"mode must be triangular, triangular2 or exp_range, got {mode!r}.")
        if not 0 < up < 1:
            raise ValueError(f"up must be in (0, 1), got {up}.")
        check_share("low_factor", low_factor)
        check_positive("gamma", gamma)
        check_momentum("base_momentum", base_momentum)
        check_momentum("max_momentum", max_momentum)
        self.low_factor = low_factor
        self.up = up
        self.mode = mode
        self.gamma = gamma
        self.cycle_momentum = cycle_momentum
        self.base_momentum = base_momentum
        self.max_momentum = max_momentum

    def check(self, optimizer: Optimizer, horizon: Horizon) -> None:
        """Refuse a cycle that is longer than the run, and an optimizer without the momentum that is to be cycled."""
        self.span.resolve(horizon)
        if self.cycle_momentum:
            require_momentum("Cyclic", optimizer)

    def factor(self, step: int, horizon: Horizon) -> float:
        """Return the share of the base rate at `step`."""
        return linear(self.low_factor, 1.0, self._height(step, horizon))

    def momentum(self, step: int, horizon: Horizon) -> float | None:
        """Return the momentum at `step`."""
        if not self.cycle_momentum:
            return None
        return linear(self.max_momentum, self.base_momentum, self._height(step, horizon))

    def _height(self, step: int, horizon: Horizon) -> float:
        cycle, place = divmod(step / self.span.exact(horizon), 1.0)
        height = place / self.up if place <= self.up else (1 - place) / (1 - self.up)
        scale = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": self.gamma**step}
        return height * scale[self.mode]
