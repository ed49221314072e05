"""Schedules that raise the learning rate again: warm restarts, cycles, and the one-cycle policy."""

from __future__ import annotations

import math
from typing import Any, Literal

from torch.optim import Optimizer

from foundation.argument_checks import require_between, require_fraction, require_momentum, require_positive
from foundation.errors import UserError
from lightning_modules.schedulers.run_length import Duration, RunLength
from lightning_modules.schedulers.step_schedule import StepSchedule, linear, momentum_key


class WarmRestarts(StepSchedule):
    r"""Repeat half a cosine from the base rate down, each cycle `multiplier` times as long as the one before.

    $\eta_t = \eta_0 (e + (1 - e) \tfrac{1}{2} (1 + \cos(\pi t_c / T_c)))$ at step $t_c$ of a cycle of
    $T_c$ steps.

    Args:
        steps: Length of the first cycle in optimizer steps. Give exactly one of `steps`, `epochs` and `fraction`.
        epochs: Length in epochs.
        fraction: Length as a share of the run, in (0, 1); 0.25 makes four cycles if `multiplier` is 1.
        multiplier: Length of a cycle divided by that of the one before, ≥ 1.
        end_factor: $e$ in [0, 1], the rate at the end of a cycle as a share of the base rate.

    Raises:
        ValueError: An argument is outside its range, or not exactly one length is given.

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
        self.duration = Duration("WarmRestarts", steps, epochs, fraction)
        require_between("multiplier", multiplier, 1)
        require_between("end_factor", end_factor, 0, 1)
        self.multiplier = multiplier
        self.end_factor = end_factor

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the rate at `step` as a share of the base rate."""
        done, length = float(step), max(1.0, self.duration.exact(run_length))
        while done > length - 1e-6:  # a share of the run need not be a whole number of steps
            done, length = done - length, length * self.multiplier
        return linear(self.end_factor, 1.0, (1 + math.cos(math.pi * done / length)) / 2)


class MomentumCycle(StepSchedule):
    """Base class of schedules that can move the momentum in the opposite direction of the learning rate.

    Args:
        cycle_momentum: Whether to cycle the momentum (Adam's first beta).
        base_momentum: Momentum at the highest rate, in [0, 1).
        max_momentum: Momentum at the lowest rate, in [0, 1).
    """

    def __init__(self, cycle_momentum: bool = True, base_momentum: float = 0.85, max_momentum: float = 0.95) -> None:
        require_momentum("base_momentum", base_momentum)
        require_momentum("max_momentum", max_momentum)
        self.cycle_momentum = cycle_momentum
        self.base_momentum = base_momentum
        self.max_momentum = max_momentum

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Raise UserError if the schedule does not fit the run, or the optimizer has no momentum to cycle."""
        super().check(optimizer, run_length)
        key = momentum_key(optimizer)
        if self.cycle_momentum and (key is None or any(group[key] == 0 for group in optimizer.param_groups)):
            raise UserError(
                f"{type(self).__name__} cycles momentum, but {type(optimizer).__name__} has none here: set"
                " cycle_momentum: false, or choose an optimizer with momentum (sgd_momentum, adamw)."
            )


class Cyclic(MomentumCycle):
    r"""Raise the rate from `low_factor` × the base rate to the base rate and lower it again, in cycles.

    Args:
        steps: Length of a cycle in optimizer steps. Give exactly one of `steps`, `epochs` and `fraction`.
        epochs: Length in epochs.
        fraction: Length as a share of the run, in (0, 1).
        low_factor: Lowest rate as a share of the base rate, in [0, 1].
        up: Share of a cycle in which the rate rises, in (0, 1).
        mode: `triangular`: all cycles are equal; `triangular2`: each is half as high as the one before; `exp_range`:
            the height is multiplied by `gamma` to the power of the step.
        gamma: Factor per step in `exp_range`, > 0.
        **momentum: `cycle_momentum`, `base_momentum` and `max_momentum`, see `MomentumCycle`.

    Raises:
        ValueError: An argument is outside its range, or not exactly one length is given.

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
        **momentum: Any,
    ) -> None:
        super().__init__(**momentum)
        self.duration = Duration("Cyclic", steps, epochs, fraction)
        if mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"mode must be triangular, triangular2 or exp_range, got {mode!r}.")
        require_fraction("up", up)
        require_between("low_factor", low_factor, 0, 1)
        require_positive("gamma", gamma)
        self.low_factor = low_factor
        self.up = up
        self.mode = mode
        self.gamma = gamma

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the rate at `step` as a share of the base rate."""
        return linear(self.low_factor, 1.0, self._height(step, run_length))

    def momentum(self, step: int, run_length: RunLength) -> float | None:
        """Return the momentum at `step`."""
        if not self.cycle_momentum:
            return None
        return linear(self.max_momentum, self.base_momentum, self._height(step, run_length))

    def _height(self, step: int, run_length: RunLength) -> float:
        cycle, position = divmod(step / self.duration.exact(run_length), 1.0)
        height = position / self.up if position <= self.up else (1 - position) / (1 - self.up)
        scale = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": self.gamma**step}
        return height * scale[self.mode]


class OneCycle(MomentumCycle):
    r"""Raise the rate from $\eta_0/d$ to the base rate $\eta_0$, then lower it to $\eta_0/(d f)$, over the run.

    The highest rate is the optimizer's own, for each parameter group, so that there is one number to tune (torch's
    class also takes a `max_lr`). The last optimizer step has the lowest rate.

    Args:
        pct_start: Share of the run in which the rate rises, in (0, 1).
        anneal_strategy: `cos` or `linear`, the shape of rise and fall.
        div_factor: $d$ ≥ 1, the base rate divided by the first rate.
        final_div_factor: $f$ ≥ 1, the first rate divided by the last rate.
        **momentum: `cycle_momentum`, `base_momentum` and `max_momentum`, see `MomentumCycle`.

    Raises:
        ValueError: An argument is outside its range.

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
        **momentum: Any,
    ) -> None:
        super().__init__(**momentum)
        require_fraction("pct_start", pct_start)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be cos or linear, got {anneal_strategy!r}.")
        require_between("div_factor", div_factor, 1)
        require_between("final_div_factor", final_div_factor, 1)
        self.pct_start = pct_start
        self.anneal_strategy = anneal_strategy
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the rate at `step` as a share of the base rate."""
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
