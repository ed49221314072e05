"""What a budget can find out: a plan from a timed pilot, or a refusal that says what could be left out."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from descent.studies.running.recorder import StudyError
from descent.studies.statistics.power import cautious_sd, detectable_difference

LEAST_SEEDS, MOST_SEEDS = 5, 30
LEAST_TRIALS, MOST_TRIALS = 3, 12


@dataclass(frozen=True)
class Plan:
    """A plan.

    Args:
        trials: K of each candidate.
        seeds: S of each candidate.
        seconds: Of the whole study, its pilot included.
        limit: Smallest difference that it can find; `None` where the pilot's runs do not differ at all.
    """

    trials: int
    seeds: int
    seconds: float
    limit: float | None


@dataclass(frozen=True)
class Pilot:
    """What the pilot measured.

    Args:
        costs: Seconds of a run, by candidate.
        scores: Rows of one candidate: its scores under the pilot's seeds; candidates that failed are left out.
        spent: Seconds of the pilot.
        workers: Processes that share the work.
    """

    costs: Mapping[str, float]
    scores: Sequence[Sequence[float]]
    spent: float
    workers: int = 1

    def seconds(self, trials: int, seeds: int) -> float:
        """Of a whole study; the pilot's first half is trial 0 of every candidate."""
        return self.spent + sum(self.costs.values()) * (trials - 1 + seeds) / self.workers

    def sd(self) -> float | None:
        r"""Standard deviation of the paired differences, at its upper limit.

        $$\text{sd}^2 = 2 \cdot \frac{\sum_{cs} (x_{cs} - \bar x_c - \bar x_s + \bar x)^2}{(C-1)(S-1)}$$

        Candidate and seed each have their own level; what is left is a run's own luck, and a difference has it twice.
        """
        x = np.asarray(self.scores, dtype=np.float64)
        if x.ndim != 2 or min(x.shape) < 2:
            return None
        left = x - x.mean(axis=1, keepdims=True) - x.mean(axis=0, keepdims=True) + x.mean()
        degrees = (x.shape[0] - 1) * (x.shape[1] - 1)
        sd = float(np.sqrt(2 * (left**2).sum() / degrees))
        return cautious_sd(sd, degrees) if sd > 1e-12 else None

    def limit(self, seeds: int) -> float | None:
        """Smallest difference that so many seeds can find."""
        candidates = len(self.scores)
        sd = self.sd()
        return None if sd is None else detectable_difference(sd, seeds, candidates * (candidates - 1) // 2)


def make_plan(pilot: Pilot, trials: int, seeds: int, budget: float | None, wanted: float | None = None) -> Plan:
    """The study as configured, or as large as the budget allows.

    Args:
        pilot: What was measured.
        trials: Configured K; kept within a budget only where it is 1 (no tuning).
        seeds: Configured S; the budget decides where there is one.
        budget: Seconds, or `None`.
        wanted: Smallest difference that must be found.

    Raises:
        StudyError: The study cannot answer within the budget, or cannot find what is wanted.
    """
    if budget is not None:
        trials, seeds = fit(pilot, trials > 1, budget)
    limit = pilot.limit(seeds)
    if wanted is not None and limit is not None and limit > wanted:
        needed = next((s for s in range(seeds, 1000) if (pilot.limit(s) or 0) <= wanted), None)
        ways = f"{needed} seeds ({words(pilot.seconds(trials, needed))})" if needed else "a less noisy metric"
        raise StudyError(
            f"{trials} trials × {seeds} seeds find differences of {limit:.3g} and more, not {wanted:.3g}: it takes "
            f"{ways}. Give more time, leave candidates out, or ask for less (smallest_difference)."
        )
    return Plan(trials, seeds, pilot.seconds(trials, seeds), limit)


def fit(pilot: Pilot, tune: bool, budget: float) -> tuple[int, int]:
    """The largest (trials, seeds) that fit: about five seeds to three trials.

    Raises:
        StudyError: Not even the smallest study that can answer fits.
    """
    least = LEAST_TRIALS if tune else 1
    if pilot.seconds(least, LEAST_SEEDS) > budget:
        raise StudyError(refusal(pilot, least, budget))
    best = (least, LEAST_SEEDS)
    for seeds in range(LEAST_SEEDS, MOST_SEEDS + 1):
        trials = min(MOST_TRIALS, max(least, round(0.6 * seeds))) if tune else 1
        if pilot.seconds(trials, seeds) > budget:
            break
        best = (trials, seeds)
    trials, seeds = best
    if tune and trials < MOST_TRIALS and pilot.seconds(trials + 1, seeds) <= budget:
        return trials + 1, seeds
    return best


def refusal(pilot: Pilot, trials: int, budget: float) -> str:
    """Why a budget is too small, and the ways out."""
    needed = pilot.seconds(trials, LEAST_SEEDS)
    by_cost = sorted(pilot.costs, key=lambda name: pilot.costs[name], reverse=True)
    left_out: list[str] = []
    while len(by_cost) - len(left_out) > 2 and _without(pilot, left_out, trials) > budget:
        left_out.append(by_cost[len(left_out)])
    fewer = f"leave out {', '.join(left_out)}; " if left_out and _without(pilot, left_out, trials) <= budget else ""
    share = (budget - pilot.spent) / max(needed - pilot.spent, 1e-9)
    shorter = f"make the runs {math.ceil(1 / share)} times shorter" if share > 0.05 else "make the runs much shorter"
    return (
        f"{words(budget)} cannot answer: the smallest study that can, {len(pilot.costs)} candidates × ({trials} trials "
        f"+ {LEAST_SEEDS} seeds), takes {words(needed)}. Ways out: --budget {math.ceil(needed / 60)}m; {fewer}"
        f"{shorter} (trainer.max_epochs, less data)."
    )


def _without(pilot: Pilot, names: list[str], trials: int) -> float:
    costs = {name: cost for name, cost in pilot.costs.items() if name not in names}
    return Pilot(costs, [], sum(2 * cost for cost in costs.values()), pilot.workers).seconds(trials, LEAST_SEEDS)


def seeds_for(remaining: float, round_seconds: float, planned: int) -> int:
    """How many rounds of re-runs the time left allows, once tuning is done; decided by time, never by results."""
    return max(LEAST_SEEDS, min(MOST_SEEDS, planned + 3, int(remaining / max(round_seconds, 1e-9) + 0.5)))


def parse_budget(text: str) -> float:
    """Seconds of a time as people write it.

    Raises:
        StudyError: It is none.

    Example:
        >>> parse_budget("10m"), parse_budget("1h30m"), parse_budget("90s")
        (600.0, 5400.0, 90.0)
    """
    found = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    if not text.strip() or found is None:
        raise StudyError(f"a budget is a time such as 90s, 10m or 1h30m, got {text!r}.")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def words(seconds: float) -> str:
    """A time for people.

    Example:
        >>> words(42), words(95), words(7300)
        ('42 s', '1.6 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
