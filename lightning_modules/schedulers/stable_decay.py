"""The trapezoid: a constant rate, then a decay at the end."""

from __future__ import annotations

import math
from typing import Literal

from torch.optim import Optimizer

from foundation.argument_checks import check_share
from foundation.errors import UserError
from lightning_modules.schedulers.run_length import Duration, RunLength
from lightning_modules.schedulers.step_schedule import StepSchedule, linear


class StableDecay(StepSchedule):
    r"""The base rate until the decay begins, which ends with the run; with a `Warmup` before it: WSD, the trapezoid.

    $\eta_t = \eta_0 (e + (1 - e) f(s))$ with $s$ the share of the decay that is done, $f(s) = 1 - s$ (`linear`),
    $1 - \sqrt{s}$ (`sqrt`) or $\tfrac{1}{2}(1 + \cos \pi s)$ (`cos`).

    Args:
        steps: the decay in optimizer steps; or
        epochs: in epochs; or
        fraction: as a share of the run. Exactly one of the three is given.
        shape: `linear`, `sqrt` or `cos`.
        end_factor: $e$ in [0, 1], the rate at the end as a share of the base rate.

    Raises:
        ValueError: an argument is outside its range, or not exactly one length is given.

    Example:
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> [StableDecay(fraction=0.2).factor(step, run_length) for step in (0, 80, 90, 100)]
        [1.0, 1.0, 0.5, 0.0]

    Reference: Hägele et al. Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations. 2024.
    """

    def __init__(
        self,
        steps: int | None = None,
        epochs: float | None = None,
        fraction: float | None = None,
        shape: Literal["linear", "sqrt", "cos"] = "linear",
        end_factor: float = 0.0,
    ) -> None:
        self.span = Duration("StableDecay", steps, epochs, fraction)
        if shape not in ("linear", "sqrt", "cos"):
            raise ValueError(f"shape must be linear, sqrt or cos, got {shape!r}.")
        check_share("end_factor", end_factor)
        self.shape = shape
        self.end_factor = end_factor

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Refuse a decay that is longer than the run, or a run of unknown length."""
        run_length.known_steps("StableDecay")
        if self.span.resolve(run_length) > (run_length.steps or 0) and not run_length.rehearsal:
            raise UserError(
                f"StableDecay: a decay of {self.span} does not fit into the {run_length.steps} steps after the warm-up."
            )

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the share of the base rate at `step`."""
        decay = self.span.exact(run_length)
        share = min(1.0, max(0.0, 1 - (run_length.known_steps("StableDecay") - step) / decay))
        height = {"linear": 1 - share, "sqrt": 1 - math.sqrt(share), "cos": (1 + math.cos(math.pi * share)) / 2}
        return linear(self.end_factor, 1.0, height[self.shape])
