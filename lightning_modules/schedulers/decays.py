"""The polynomial schedule, the straight line among them."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from torch.optim import Optimizer

from foundation.argument_checks import check_positive, check_share
from lightning_modules.schedulers.run_length import Duration, RunLength
from lightning_modules.schedulers.step_schedule import StepSchedule, linear


class Constant(StepSchedule):
    r"""The learning rate stays what the optimizer was given: $\eta_t = \eta_0$.

    Example:
        >>> Constant().factor(7, RunLength(steps=10, epochs=1, steps_per_epoch=10))
        1.0
    """

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return 1."""
        return 1.0


class ExponentialDecay(StepSchedule):
    r"""The rate falls by the same factor in every epoch, or smoothly down to a given end.

    $\eta_t = \eta_0 \gamma^{\lfloor t / n \rfloor}$ with $n$ steps in an epoch, or $\eta_t = \eta_0 e^{t / T}$ with
    $e$ = `end_factor` and $T$ the steps of the run.

    Args:
        gamma: $\gamma$ > 0, the factor of one epoch; or
        end_factor: $e$ > 0, the rate at the end of the run as a share of the base rate. Exactly one of the two.

    Raises:
        ValueError: an argument is outside its range, or not exactly one is given.

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
        check_positive(
            "gamma" if end_factor is None else "end_factor", gamma if gamma is not None else end_factor or 0.0
        )
        self.gamma = gamma
        self.end_factor = end_factor

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Refuse a run, or an epoch, of unknown length."""
        self.factor(0, run_length)

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the share of the base rate at `step`."""
        if self.gamma is not None:
            return self.gamma ** (step // run_length.in_steps(1, "ExponentialDecay"))
        assert self.end_factor is not None
        return self.end_factor ** min(1.0, step / max(1, run_length.known_steps("ExponentialDecay")))


class Milestones(StepSchedule):
    r"""Multiply the rate by `gamma` at each milestone: $\eta_t = \eta_0 \gamma^{n}$, $n$ milestones being past.

    They are counted from the start of the run, a warm-up included, as papers do.

    Args:
        steps: the milestones in optimizer steps; or
        epochs: in epochs; or
        fractions: as shares of the run. Exactly one of the three is given, in rising order.
        gamma: $\gamma$ > 0, what a milestone multiplies the rate by.

    Raises:
        ValueError: an argument is outside its range, or not exactly one list is given.

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
            said = ", ".join(unit for unit, _ in chosen) or "none of them"
            raise ValueError(f"Milestones takes exactly one of steps, epochs and fractions, got {said}.")
        unit, values = chosen[0]
        if not values or any(low >= high for low, high in pairwise(values)):
            raise ValueError(f"Milestones must be given in rising order, at least one, got {values}.")
        self.spans = [Duration("Milestones", **{unit: value}) for value in values]  # type: ignore[arg-type]
        check_positive("gamma", gamma)
        self.gamma = gamma

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Refuse a milestone that the run does not reach."""
        self.places(run_length)

    def places(self, run_length: RunLength) -> list[int]:
        """Return the milestones in optimizer steps."""
        return [span.resolve(run_length) for span in self.spans]

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the share of the base rate at `step`."""
        return self.gamma ** bisect_right(self.places(run_length), step + run_length.start)


class StepDecay(StepSchedule):
    r"""Multiply the rate by `gamma` after every interval: $\eta_t = \eta_0 \gamma^{\lfloor t / k \rfloor}$.

    $k$ is the interval in steps. It is counted from the start of the run, a warm-up included, as papers do.

    Args:
        steps: the interval in optimizer steps; or
        epochs: in epochs; or
        fraction: as a share of the run. Exactly one of the three is given.
        gamma: $\gamma$ > 0, what a drop multiplies the rate by.

    Raises:
        ValueError: an argument is outside its range, or not exactly one interval is given.

    Example:
        >>> run_length = RunLength(steps=90, epochs=9, steps_per_epoch=10)
        >>> [round(StepDecay(epochs=3).factor(step, run_length), 4) for step in (0, 29, 30, 60)]
        [1.0, 1.0, 0.1, 0.01]
    """

    def __init__(
        self, steps: int | None = None, epochs: float | None = None, fraction: float | None = None, gamma: float = 0.1
    ) -> None:
        self.span = Duration("StepDecay", steps, epochs, fraction)
        check_positive("gamma", gamma)
        self.gamma = gamma

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Refuse an interval that is longer than the run."""
        self.span.resolve(run_length)

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the share of the base rate at `step`."""
        return self.gamma ** ((step + run_length.start + 0.5) // self.span.exact(run_length))  # the nearest step drops


class Polynomial(StepSchedule):
    r"""The rate falls as a power of what is left of the run: $\eta_t = \eta_0 (e + (1 - e)(1 - t / T)^p)$.

    Args:
        power: $p$ > 0; 1 is a straight line.
        end_factor: $e$ in [0, 1], the rate at the end as a share of the base rate.

    Raises:
        ValueError: an argument is outside its range.

    Example:
        >>> run_length = RunLength(steps=100, epochs=10, steps_per_epoch=10)
        >>> [Polynomial(power=2.0).factor(step, run_length) for step in (0, 50, 100)]
        [1.0, 0.25, 0.0]
    """

    def __init__(self, power: float = 1.0, end_factor: float = 0.0) -> None:
        check_positive("power", power)
        check_share("end_factor", end_factor)
        self.power = power
        self.end_factor = end_factor

    def check(self, optimizer: Optimizer, run_length: RunLength) -> None:
        """Refuse a run of unknown length."""
        run_length.known_steps("Polynomial")

    def factor(self, step: int, run_length: RunLength) -> float:
        """Return the share of the base rate at `step`."""
        share = min(1.0, step / max(1, run_length.known_steps("Polynomial")))
        return linear(self.end_factor, 1.0, (1 - share) ** self.power)
