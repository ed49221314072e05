"""The cosine schedule."""

from __future__ import annotations

import math

from torch.optim import Optimizer

from foundation.argument_checks import check_at_least, check_share
from lightning_modules.schedulers.run_length import Duration, RunLength
from lightning_modules.schedulers.step_schedule import StepSchedule, linear


class WarmRestarts(StepSchedule):
    r"""Half a cosine down to `end_factor`, then back to the base rate, each cycle `multiplier` times the last.

    $\eta_t = \eta_0 (e + (1 - e) \tfrac{1}{2} (1 + \cos(\pi t_c / T_c)))$ with $t_c$ of the $T_c$ steps
    of this cycle done.

    Args:
        steps: the first cycle in optimizer steps; or
        epochs: in epochs; or
        fraction: as a share of the run (0.25 makes four of them at `multiplier` 1). Exactly one of the three is given.
        multiplier: a cycle's length over the one before, ≥ 1.
        end_factor: $e$ in [0, 1], the rate at a cycle's end as a share of the base rate.

    Raises:
        ValueError: an argument is outside its range, or not exactly one length is given.

    Example:
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> [round(WarmRestarts(fraction=0.25).factor(step, run_length), 3) for step in (0, 24, 25, 50)]
        [1.0, 0.004, 1.0, 1.0]

    Reference: Loshchilov, Hutter. SGDR: Stochastic Gradient Descent with Warm Restarts. 2017.
    """

    def __init__(
        self,
        steps: int | None = None,
        epochs: float | None = None,
        fraction: float | None = None,
        multiplier: float = 1.0,
        end_factor: float = 0.0,
    ) -> None:
        self.span = Duration("WarmRestarts", steps, epochs, fraction)
        check_at_least("multiplier", multiplier, 1)
        check_share("end_factor", end_factor)
        self.multiplier = multiplier
        self.end_factor = end_factor

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Refuse a first cycle that is longer than the run."""
        self.span.resolve(run_length)

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the share of the base rate at `step`."""
        done, length = float(step), max(1.0, self.span.exact(run_length))
        while done > length - 1e-6:  # a share of the run need not be a whole number of steps
            done, length = done - length, length * self.multiplier
        return linear(self.end_factor, 1.0, (1 + math.cos(math.pi * done / length)) / 2)


class Cosine(StepSchedule):
    r"""Half a cosine from the base rate down to its end, over the whole run.

    $$\eta_t = \eta_0 \left(e + (1 - e) \tfrac{1}{2} (1 + \cos(\pi t / T))\right)$$

    with $e$ = `end_factor` and $T$ the steps of the run.

    Args:
        end_factor: the rate at the end as a share of the base rate, in [0, 1]; 1 keeps it constant.

    Raises:
        ValueError: `end_factor` is outside [0, 1].

    Example:
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> [round(Cosine().factor(step, run_length), 3) for step in (0, 25, 50, 100)]
        [1.0, 0.854, 0.5, 0.0]

    Reference: Loshchilov, Hutter. SGDR: Stochastic Gradient Descent with Warm Restarts. 2017 (without the restarts).
    """

    def __init__(self, end_factor: float = 0.0) -> None:
        check_share("end_factor", end_factor)
        self.end_factor = end_factor

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Refuse a run of unknown length."""
        run_length.known_steps("Cosine")

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the share of the base rate at `step`."""
        share = min(1.0, step / max(1, run_length.known_steps("Cosine")))
        return linear(self.end_factor, 1.0, (1 + math.cos(math.pi * share)) / 2)
