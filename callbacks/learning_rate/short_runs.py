"""Decide between learning rates by short trainings: climb to the best of them, and carry it over to the whole run."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch.optim import Optimizer

from callbacks.learning_rate.suggestions import Suggestions

RATIO = 10 ** (1 / 3)  # between neighbouring rates
EXPONENT, LONG_EXPONENT = 0.6, 0.32
MEASURED = 200  # steps of the runs that `EXPONENT` was measured on
NINE_TENTHS, STEEPEST = 1.0, 2.0  # of the best rate of a short run, divided by these suggestions, typically
FLAT = 0.05  # of the held-out loss: rates that differ by less count as equally good

USUAL = {
    "SGD": 0.2,
    "SGD with momentum": 0.05,
    "Adam": 0.01,
    "AdamW": 0.01,
    "NAdam": 0.01,
    "RAdam": 0.01,
    "RMSprop": 0.003,
    "Adafactor": 0.03,
    "Muon": 0.02,
    "Lion": 0.002,
    "Lamb": 0.03,
    "AdamWScheduleFree": 0.02,
}
"""Usual best rates of runs of 200 steps with small networks, by the optimizer's class."""


def usual_rate(optimizer: Optimizer) -> float | None:
    """Return the usual best rate of an optimizer's class, or of the class that it derives from."""
    names = [kind.__name__ for kind in type(optimizer).__mro__]
    if "SGD" in names and optimizer.param_groups[0].get("momentum"):
        return USUAL["SGD with momentum"]
    return next((USUAL[name] for name in names if name in USUAL), None)


@dataclass(frozen=True)
class ShortRun:
    """A short training, judged on held-out batches.

    Args:
        rate: Highest rate of its schedule.
        steps: Its length.
        loss: Held-out loss at its end; infinite if it diverged.
    """

    rate: float
    steps: int
    loss: float


@dataclass(frozen=True)
class Verdict:
    """The best rate of some short runs.

    Args:
        rate: Where the parabola through the best and its neighbours is lowest.
        equal: Lowest and highest rate with about the same loss.
        steps: Length of the runs.
    """

    rate: float
    equal: tuple[float, float]
    steps: int

    def carried_over(self, run_steps: int) -> "Verdict":
        """Return the verdict for a run of another length; see `length_factor`."""
        factor = length_factor(self.steps, run_steps)
        return Verdict(self.rate * factor, (self.equal[0] * factor, self.equal[1] * factor), run_steps)


def length_factor(steps: int, run_steps: int) -> float:
    r"""Return by what the best rate of a run of `steps` is multiplied for one of `run_steps`.

    $(n/T)^{0.6}$ up to 200 steps, as measured on the tuned problems of `benchmarks/lr_problems`; from there on
    $T^{-0.32}$.

    Example:
        >>> round(length_factor(20, 200), 3), length_factor(20, 10), round(length_factor(20, 2000), 3)
        (0.251, 1.0, 0.12)

    Reference: J. Bjorck et al., "Scaling Optimal LR Across Token Horizons", 2024 (the exponent of long runs).
    """
    near = max(steps, min(run_steps, MEASURED))
    far = max(near, run_steps)
    return float((steps / near) ** EXPONENT * (near / far) ** LONG_EXPONENT)


def start_rate(suggestions: Suggestions | None, usual: float | None, steps: int, weight: float = 0.5) -> float:
    """Return where to begin: between what a range test suggests and what is usual for the optimizer.

    Args:
        suggestions: Of the range test; `None` if it has none.
        usual: Usual rate of a run of 200 steps; `None` if it is not known.
        steps: Length of the short runs.
        weight: Of the usual rate against the range test, in [0, 1].
    """
    logs, weights = [], []
    if suggestions is not None:
        logs.append(np.log(suggestions.nine_tenths * NINE_TENTHS * suggestions.steepest * STEEPEST) / 2)
        weights.append(1 - weight)
    if usual is not None:
        logs.append(np.log(usual / length_factor(steps, MEASURED)))
        weights.append(weight)
    return float(np.exp(np.average(logs, weights=weights)))


def climb(
    start: float, judge: Callable[[float], float], steps: int, runs: int, low: float, high: float
) -> list[ShortRun]:
    """Judge rates a factor 2.15 apart: three around the start, then on towards the best until it lies between two.

    Args:
        start: First rate.
        judge: Returns the held-out loss of a short run at a rate.
        steps: Length of a run, for the record.
        runs: Number of runs, ≥ 3.
        low: Lowest rate.
        high: Highest rate.

    Example:
        >>> import math
        >>> found = climb(1.0, lambda rate: abs(math.log(rate / 10)), steps=20, runs=7, low=1e-3, high=1e3)
        >>> [round(run.rate, 2) for run in found]
        [1.0, 2.15, 0.46, 4.64, 10.0, 21.54]
    """
    losses: dict[int, float] = {}

    def try_out(place: int) -> None:
        if place not in losses and len(losses) < runs and low <= start * RATIO**place <= high:
            losses[place] = judge(start * RATIO**place)

    for place in (0, 1, -1):
        try_out(place)
    while len(losses) < runs and losses:
        best = min(losses, key=lambda place: (losses[place], place))
        count = len(losses)
        try_out(best + 1)
        try_out(best - 1)
        if len(losses) == count:
            break
    return [ShortRun(start * RATIO**place, steps, loss) for place, loss in losses.items()]


def verdict(runs: list[ShortRun]) -> Verdict | None:
    """Return the best rate of runs of one length; `None` if all of them diverged."""
    finite = sorted((run for run in runs if np.isfinite(run.loss)), key=lambda run: run.rate)
    if not finite:
        return None
    place = min(range(len(finite)), key=lambda index: finite[index].loss)
    best = finite[place]
    rate = best.rate
    if 0 < place < len(finite) - 1:
        left, right = finite[place - 1], finite[place + 1]
        rise_left, rise_right = left.loss - best.loss, right.loss - best.loss
        if rise_left + rise_right > 0:
            shift = 0.5 * (rise_left - rise_right) / (rise_left + rise_right)
            rate *= (right.rate / best.rate if shift > 0 else best.rate / left.rate) ** shift
    return Verdict(rate, _equal(finite, place, rate), best.steps)


def _equal(runs: list[ShortRun], place: int, rate: float) -> tuple[float, float]:
    """Return the range around the best rate in which the loss, interpolated, is within `FLAT` of the lowest."""
    bound = runs[place].loss + FLAT * abs(runs[place].loss)
    ends = []
    for step in (-1, 1):
        here = place
        while 0 <= here + step < len(runs) and runs[here + step].loss <= bound:
            here += step
        end = runs[here].rate
        if 0 <= here + step < len(runs):
            share = (bound - runs[here].loss) / (runs[here + step].loss - runs[here].loss)
            end *= (runs[here + step].rate / end) ** share
        ends.append(end)
    return min(ends[0], rate), max(ends[1], rate)
