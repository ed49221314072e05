"""The one-cycle schedule: up, down, and far down, the momentum in mirror image."""

from __future__ import annotations

import math
from typing import Literal

from torch.optim import Optimizer

from foundation.argument_checks import check_at_least, check_momentum, check_positive, check_share
from lightning_modules.schedulers.run_length import Duration, RunLength
from lightning_modules.schedulers.step_schedule import StepSchedule, linear, require_momentum


class Cyclic(StepSchedule):
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
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> cyclic = Cyclic(fraction=0.2, low_factor=0.5)
        >>> [cyclic.factor(step, run_length) for step in (0, 10, 15, 20)]
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
        self.span = Duration("Cyclic", steps, epochs, fraction)
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

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Refuse a cycle that is longer than the run, and an optimizer without the momentum that is to be cycled."""
        self.span.resolve(run_length)
        if self.cycle_momentum:
            require_momentum("Cyclic", optimizer)

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the share of the base rate at `step`."""
        return linear(self.low_factor, 1.0, self._height(step, run_length))

    def momentum(self, step: int, run_length: RunLength) -> float | None:
        """Return the momentum at `step`."""
        if not self.cycle_momentum:
            return None
        return linear(self.max_momentum, self.base_momentum, self._height(step, run_length))

    def _height(self, step: int, run_length: RunLength) -> float:
        cycle, place = divmod(step / self.span.exact(run_length), 1.0)
        height = place / self.up if place <= self.up else (1 - place) / (1 - self.up)
        scale = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": self.gamma**step}
        return height * scale[self.mode]


class OneCycle(StepSchedule):
    r"""From $\eta_0/d$ up to the base rate $\eta_0$ in the first `pct_start` of the run, then down to $\eta_0/(d f)$.

    The peak is the optimizer's own learning rate, group by group, so that one number is tuned (torch's class takes a
    `max_lr` beside it). The last optimizer step has the lowest rate.

    Args:
        pct_start: the share of the run that rises, in (0, 1).
        anneal_strategy: `cos` or `linear`, the form of both slopes.
        div_factor: $d$ ≥ 1, the first rate is the base rate / `div_factor`.
        final_div_factor: $f$ ≥ 1, the last rate is the first rate / `final_div_factor`.
        cycle_momentum: move the momentum (Adam's first beta) from `max_momentum` down to `base_momentum` and back.
        base_momentum: momentum at the peak of the rate, in [0, 1).
        max_momentum: momentum at the ends, in [0, 1).

    Raises:
        ValueError: an argument is outside its range.

    Example:
        >>> run_length = RunLength(steps=101, epochs=1, steps_per_epoch=101)
        >>> [round(OneCycle(pct_start=0.4).factor(step, run_length), 6) for step in (0, 39, 100)]
        [0.04, 0.999756, 4e-06]

    Reference: Smith, Topin. Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates. 2018.
    """

    def __init__(
        self,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
    ) -> None:
        if not 0 < pct_start < 1:
            raise ValueError(f"pct_start must be in (0, 1), got {pct_start}.")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be cos or linear, got {anneal_strategy!r}.")
        check_at_least("div_factor", div_factor, 1)
        check_at_least("final_div_factor", final_div_factor, 1)
        check_momentum("base_momentum", base_momentum)
        check_momentum("max_momentum", max_momentum)
        self.pct_start = pct_start
        self.anneal_strategy = anneal_strategy
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor
        self.cycle_momentum = cycle_momentum
        self.base_momentum = base_momentum
        self.max_momentum = max_momentum

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Refuse a run of unknown length, and an optimizer without the momentum that is to be cycled."""
        run_length.known_steps("OneCycle")
        if self.cycle_momentum:
            require_momentum("OneCycle", optimizer)

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the share of the base rate at `step`."""
        first = 1 / self.div_factor
        return self._cycle(step, run_length, first, 1.0, first / self.final_div_factor)

    def momentum(self, step: int, run_length: RunLength) -> float | None:
        """Return the momentum at `step`."""
        if not self.cycle_momentum:
            return None
        return self._cycle(step, run_length, self.max_momentum, self.base_momentum, self.max_momentum)

    def _cycle(self, step: int, run_length: RunLength, first: float, peak: float, last: float) -> float:
        end = max(1, run_length.known_steps("OneCycle") - 1)
        top = self.pct_start * (end + 1) - 1
        step = min(step, end)
        if top > 0 and step <= top:
            return self._slope(first, peak, step / top)
        return self._slope(peak, last, (step - top) / (end - top))

    def _slope(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "cos":
            share = (1 - math.cos(math.pi * share)) / 2
        return linear(start, end, share)
