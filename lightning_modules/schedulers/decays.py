"""Schedules that keep or lower the learning rate over the run, and its drops at given times."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Literal

from torch.optim import Optimizer

from foundation.argument_checks import require_between, require_positive
from foundation.errors import UserError
from lightning_modules.schedulers.run_length import Duration, RunLength
from lightning_modules.schedulers.step_schedule import StepSchedule, linear


class Constant(StepSchedule):
    r"""Keep the learning rate of the optimizer: $\eta_t = \eta_0$.

    Example:
        >>> Constant().factor(7, RunLength(steps=10, epochs=1, steps_per_epoch=10))
        1.0
    """

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return 1."""
        return 1.0


class Polynomial(StepSchedule):
    r"""Lower the rate as a power of the remaining run: $\eta_t = \eta_0 (e + (1 - e)(1 - t / T)^p)$.

    $T$ is the number of steps of the run.

    Args:
        power: $p$ > 0; 1 is linear.
        end_factor: $e$ in [0, 1], the rate at the end as a share of the base rate.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> [Polynomial(power=2.0).factor(step, run_length) for step in (0, 50, 100)]
        [1.0, 0.25, 0.0]
    """

    def __init__(self, power: float = 1.0, end_factor: float = 0.0) -> None:
        require_positive("power", power)
        require_between("end_factor", end_factor, 0, 1)
        self.power = power
        self.end_factor = end_factor

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the rate at `step` as a share of the base rate."""
        share = min(1.0, step / max(1, run_length.known_steps("Polynomial")))
        return linear(self.end_factor, 1.0, (1 - share) ** self.power)


class Cosine(StepSchedule):
    r"""Lower the rate along half a cosine, over the whole run.

    $$\eta_t = \eta_0 \left(e + (1 - e) \tfrac{1}{2} (1 + \cos(\pi t / T))\right)$$

    $e$ is `end_factor` and $T$ the number of steps of the run.

    Args:
        end_factor: $e$ in [0, 1], the rate at the end as a share of the base rate; 1 keeps it constant.

    Raises:
        ValueError: `end_factor` is outside [0, 1].

    Example:
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> [round(Cosine().factor(step, run_length), 3) for step in (0, 25, 50, 100)]
        [1.0, 0.854, 0.5, 0.0]

    Reference: Loshchilov, Hutter. SGDR: Stochastic Gradient Descent with Warm Restarts. 2017 (without the restarts).
    """

    def __init__(self, end_factor: float = 0.0) -> None:
        require_between("end_factor", end_factor, 0, 1)
        self.end_factor = end_factor

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the rate at `step` as a share of the base rate."""
        share = min(1.0, step / max(1, run_length.known_steps("Cosine")))
        return linear(self.end_factor, 1.0, (1 + math.cos(math.pi * share)) / 2)


class ExponentialDecay(StepSchedule):
    r"""Lower the rate by the same factor in every epoch, or smoothly down to a given end.

    $\eta_t = \eta_0 \gamma^{\lfloor t / n \rfloor}$ with $n$ steps in an epoch, or $\eta_t = \eta_0 e^{t / T}$ with
    $e$ = `end_factor` and $T$ the number of steps of the run.

    Args:
        gamma: $\gamma$ > 0, the factor of one epoch. Give either this or `end_factor`.
        end_factor: $e$ > 0, the rate at the end of the run as a share of the base rate.

    Raises:
        ValueError: An argument is outside its range, or not exactly one is given.

    Example:
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> [round(ExponentialDecay(gamma=0.5).factor(step, run_length), 3) for step in (9, 10, 25)]
        [1.0, 0.5, 0.25]
        >>> [round(ExponentialDecay(end_factor=0.01).factor(step, run_length), 3) for step in (0, 50, 100)]
        [1.0, 0.1, 0.01]
    """

    def __init__(self, gamma: float | None = None, end_factor: float | None = None) -> None:
        if (gamma is None) == (end_factor is None):
            raise ValueError(
                f"ExponentialDecay takes either gamma or end_factor, got gamma: {gamma}, end_factor: {end_factor}."
            )
        require_positive(
            "gamma" if end_factor is None else "end_factor", gamma if gamma is not None else end_factor or 0.0
        )
        self.gamma = gamma
        self.end_factor = end_factor

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the rate at `step` as a share of the base rate."""
        if self.gamma is not None:
            return self.gamma ** (step // run_length.in_steps(1, "ExponentialDecay"))
        assert self.end_factor is not None
        return self.end_factor ** min(1.0, step / max(1, run_length.known_steps("ExponentialDecay")))


class StableDecay(StepSchedule):
    r"""Keep the base rate, then decay until the end of the run; after a `Warmup` this is WSD, the trapezoid.

    $\eta_t = \eta_0 (e + (1 - e) f(s))$ with $s$ the share of the decay that is done, $f(s) = 1 - s$ (`linear`),
    $1 - \sqrt{s}$ (`sqrt`) or $\tfrac{1}{2}(1 + \cos \pi s)$ (`cos`).

    Args:
        steps: Length of the decay in optimizer steps. Give exactly one of `steps`, `epochs` and `fraction`.
        epochs: Length in epochs.
        fraction: Length as a share of the run, in (0, 1).
        shape: `linear`, `sqrt` or `cos`.
        end_factor: $e$ in [0, 1], the rate at the end as a share of the base rate.

    Raises:
        ValueError: An argument is outside its range, or not exactly one length is given.

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
        self.duration = Duration("StableDecay", steps, epochs, fraction)
        if shape not in ("linear", "sqrt", "cos"):
            raise ValueError(f"shape must be linear, sqrt or cos, got {shape!r}.")
        require_between("end_factor", end_factor, 0, 1)
        self.shape = shape
        self.end_factor = end_factor

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Raise UserError if the length of the run is unknown, or shorter than the decay."""
        run_length.known_steps("StableDecay")
        if self.duration.resolve(run_length) > (run_length.steps or 0) and not run_length.fast_dev_run:
            raise UserError(
                f"StableDecay: a decay of {self.duration} does not fit into the {run_length.steps} steps after the"
                " warm-up."
            )

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the rate at `step` as a share of the base rate."""
        decay = self.duration.exact(run_length)
        share = min(1.0, max(0.0, 1 - (run_length.known_steps("StableDecay") - step) / decay))
        height = {"linear": 1 - share, "sqrt": 1 - math.sqrt(share), "cos": (1 + math.cos(math.pi * share)) / 2}
        return linear(self.end_factor, 1.0, height[self.shape])


class StepDecay(StepSchedule):
    r"""Multiply the rate by `gamma` after every interval: $\eta_t = \eta_0 \gamma^{\lfloor t / k \rfloor}$.

    $k$ is the interval in steps. As in papers, it is counted from the start of the run, including a warm-up.

    Args:
        steps: Interval in optimizer steps. Give exactly one of `steps`, `epochs` and `fraction`.
        epochs: Interval in epochs.
        fraction: Interval as a share of the run, in (0, 1).
        gamma: $\gamma$ > 0, the factor of each drop.

    Raises:
        ValueError: An argument is outside its range, or not exactly one interval is given.

    Example:
        >>> run_length = RunLength(steps=90, epochs=9, steps_per_epoch=10)
        >>> [round(StepDecay(epochs=3).factor(step, run_length), 4) for step in (0, 29, 30, 60)]
        [1.0, 1.0, 0.1, 0.01]
    """

    def __init__(
        self, steps: int | None = None, epochs: float | None = None, fraction: float | None = None, gamma: float = 0.1
    ) -> None:
        self.duration = Duration("StepDecay", steps, epochs, fraction)
        require_positive("gamma", gamma)
        self.gamma = gamma

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the rate at `step` as a share of the base rate."""
        # Half a step makes each drop happen at the nearest step.
        return self.gamma ** ((step + run_length.start + 0.5) // self.duration.exact(run_length))


class Milestones(StepSchedule):
    r"""Multiply the rate by `gamma` at each milestone: $\eta_t = \eta_0 \gamma^{n}$ after $n$ milestones.

    As in papers, they are counted from the start of the run, including a warm-up.

    Args:
        steps: Milestones in optimizer steps, increasing. Give exactly one of `steps`, `epochs` and `fractions`.
        epochs: Milestones in epochs.
        fractions: Milestones as shares of the run, in (0, 1).
        gamma: $\gamma$ > 0, the factor at each milestone.

    Raises:
        ValueError: An argument is outside its range, or not exactly one list is given.

    Example:
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> [round(Milestones(fractions=[0.5, 0.75]).factor(step, run_length), 4) for step in (49, 50, 75)]
        [1.0, 0.1, 0.01]

    Reference: He et al. Deep Residual Learning for Image Recognition. 2016 (drops at 1/2 and 3/4 of the run).
    """

    def __init__(
        self,
        steps: list[int] | None = None,
        epochs: list[float] | None = None,
        fractions: list[float] | None = None,
        gamma: float = 0.1,
    ) -> None:
        given = [("steps", steps), ("epochs", epochs), ("fraction", fractions)]
        chosen = [(unit, values) for unit, values in given if values is not None]
        if len(chosen) != 1:
            found = ", ".join(unit for unit, _ in chosen) or "none of them"
            raise ValueError(f"Milestones takes exactly one of steps, epochs and fractions, got {found}.")
        unit, values = chosen[0]
        if not values or any(low >= high for low, high in pairwise(values)):
            raise ValueError(f"Milestones: {unit} needs at least one milestone, in increasing order, got {values}.")
        self.durations = [Duration("Milestones", **{unit: value}) for value in values]  # type: ignore[arg-type]
        require_positive("gamma", gamma)
        self.gamma = gamma

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the rate at `step` as a share of the base rate."""
        milestones = [duration.resolve(run_length) for duration in self.durations]
        return self.gamma ** bisect_right(milestones, step + run_length.start)
