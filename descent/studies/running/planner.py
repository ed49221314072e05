"""The planner: from the pilot's times and spread to numbers of trials and seeds, or an error with ways out."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from descent.studies.running.recorder import StudyError
from descent.studies.statistics.power import cautious_sd, sequential_limit

LEAST_SEEDS, MOST_SEEDS = 5, 30
LEAST_TRIALS, MOST_TRIALS = 3, 12
LEAST_ROUNDS, GOOD_ROUNDS = 4, 6
"""Rounds with a tuning of their own: the fewest that a budget must allow, and those before trials are added."""
SPARE = 1.5
"""So many times the rounds that a budget is expected to allow may be run if the machine gets faster."""


@dataclass(frozen=True)
class Plan:
    """Size of a study.

    Args:
        trials: Tuning trials per candidate.
        seeds: Final runs per candidate.
        seconds: Expected seconds of the whole study, including the pilot.
        limit: Smallest detectable difference; `None` if the pilot runs of a candidate do not differ at all.
        spare: Further final runs per candidate that are run if a budget leaves time for them.
    """

    trials: int
    seeds: int
    seconds: float
    limit: float | None
    spare: int = 0

    @property
    def most(self) -> int:
        """The largest number of rounds."""
        return self.seeds + self.spare


@dataclass(frozen=True)
class PilotEstimates:
    """Seconds and scores of the pilot.

    Args:
        costs: Seconds of a run, by candidate.
        scores: One row per candidate: its scores with the pilot's seeds. Candidates that failed are left out.
        spent: Seconds that start and pilot took and that the report will take.
        workers: Number of processes that share the runs.
        repeats: Final runs of a round if every round has its own tuning; 0 if the study tunes once.
    """

    costs: Mapping[str, float]
    scores: Sequence[Sequence[float]]
    spent: float
    workers: int = 1
    repeats: int = 0

    def seconds(self, trials: int, seeds: int) -> float:
        """Estimate the seconds of a whole study; trial 0 of every candidate was part of the pilot."""
        runs = seeds * (trials + self.repeats) - 1 if self.repeats else trials - 1 + seeds
        return self.spent + sum(self.costs.values()) * runs / self.workers

    def least(self, trials: int) -> tuple[int, int]:
        """Return the smallest numbers of trials and seeds of a study that tunes with more than one trial, or not."""
        return min(trials, LEAST_TRIALS), LEAST_ROUNDS if self.repeats else LEAST_SEEDS

    def sd(self) -> float | None:
        r"""Estimate the standard deviation of the paired differences, by its upper confidence limit.

        $$\text{sd}^2 = 2 \cdot \frac{\sum_{cs} (x_{cs} - \bar x_c - \bar x_s + \bar x)^2}{(C-1)(S-1)}$$

        This is twice the residual variance after the means of candidate and seed are removed: a difference of two runs
        has the residual of both.
        """
        x = np.asarray(self.scores, dtype=np.float64)
        if x.ndim != 2 or min(x.shape) < 2:
            return None
        left = x - x.mean(axis=1, keepdims=True) - x.mean(axis=0, keepdims=True) + x.mean()
        degrees = (x.shape[0] - 1) * (x.shape[1] - 1)
        sd = float(np.sqrt(2 * (left**2).sum() / degrees))
        return cautious_sd(sd, degrees) if sd > 1e-12 else None

    def limit(self, seeds: int) -> float | None:
        """Compute the smallest difference that a number of seeds can detect."""
        candidates = len(self.scores)
        sd = self.sd()
        return None if sd is None else sequential_limit(sd, seeds, candidates * (candidates - 1) // 2)


def make_plan(
    pilot: PilotEstimates, trials: int, seeds: int, budget: float | None, wanted: float | None = None
) -> Plan:
    """Plan the study as configured or, with a budget, as large as the budget allows.

    Args:
        pilot: The estimates.
        trials: Configured trials per candidate; with a budget only 1 is kept, which means no tuning.
        seeds: Configured seeds per candidate; a budget overrides them.
        budget: Seconds, or `None`.
        wanted: A difference that the study must be able to detect, or `None`.

    Raises:
        StudyError: The budget is too small, or the study cannot detect the wanted difference.
    """
    if budget is not None:
        trials, seeds = fit_rounds(pilot, trials, budget) if pilot.repeats else fit(pilot, trials > 1, budget)
    limit = pilot.limit(seeds)
    if wanted is not None and limit is not None and limit > wanted:
        needed = next((s for s in range(seeds, 1000) if (pilot.limit(s) or 0) <= wanted), None)
        ways = f"{needed} seeds ({format_seconds(pilot.seconds(trials, needed))})" if needed else "a less noisy metric"
        raise StudyError(
            f"{trials} trials × {seeds} seeds detect differences of {limit:.3g} and more, not {wanted:.3g}: that needs "
            f"{ways}. Give more time, leave out candidates, or increase smallest_difference."
        )
    most = seeds if budget is None else max(seeds, min(MOST_SEEDS, math.ceil(SPARE * seeds)))
    return Plan(trials, seeds, pilot.seconds(trials, seeds), limit, most - seeds)


def fit(pilot: PilotEstimates, tune: bool, budget: float) -> tuple[int, int]:
    """Find the largest numbers of trials and seeds that fit the budget, with about three trials to five seeds.

    Args:
        pilot: The estimates.
        tune: Whether to tune; otherwise there is one trial.
        budget: Seconds.

    Raises:
        StudyError: Even the smallest study does not fit.
    """
    least = LEAST_TRIALS if tune else 1
    if pilot.seconds(least, LEAST_SEEDS) > budget:
        raise StudyError(too_small(pilot, least, budget))
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


def fit_rounds(pilot: PilotEstimates, trials: int, budget: float) -> tuple[int, int]:
    """Find the numbers of trials and rounds that fit the budget, where every round has its own tuning.

    The trials are at most those configured; fewer are taken only to have at least `GOOD_ROUNDS` rounds.

    Args:
        pilot: The estimates.
        trials: Configured trials, ≥ 2.
        budget: Seconds.

    Raises:
        StudyError: Even the smallest study does not fit.
    """
    least, _ = pilot.least(trials)
    if pilot.seconds(least, LEAST_ROUNDS) > budget:
        raise StudyError(too_small(pilot, least, budget))
    for count in range(trials, least - 1, -1):
        rounds = max((n for n in range(1, MOST_SEEDS + 1) if pilot.seconds(count, n) <= budget), default=0)
        if rounds >= GOOD_ROUNDS:
            break
    return count, rounds


def too_small(pilot: PilotEstimates, trials: int, budget: float) -> str:
    """Say why a budget is too small, and what to change."""
    _, seeds = pilot.least(trials)
    needed = pilot.seconds(trials, seeds)
    by_cost = sorted(pilot.costs, key=lambda name: pilot.costs[name], reverse=True)
    left_out: list[str] = []
    while len(by_cost) - len(left_out) > 2 and _without(pilot, left_out, trials) > budget:
        left_out.append(by_cost[len(left_out)])
    fewer = f"or leave out {', '.join(left_out)}; " if left_out and _without(pilot, left_out, trials) <= budget else ""
    share = (budget - pilot.spent) / max(needed - pilot.spent, 1e-9)
    times = f"{math.ceil(1 / share)} times" if share > 0.05 else "much"
    shorter = f"or make the runs {times} shorter"
    size = f"({trials} trials + {seeds} seeds)"
    if pilot.repeats:
        size = f"{seeds} rounds of ({trials} trials + {pilot.repeats} final run{'s' * (pilot.repeats > 1)})"
        fewer += (
            "or tune once for all rounds (--tuning once), which says less: it compares the settings that were chosen; "
        )
    return (
        f"a budget of {format_seconds(budget)} is too small: the smallest study, {len(pilot.costs)} "
        f"candidates × {size}, takes {format_seconds(needed)}. Use --budget {math.ceil(needed / 60)}m; {fewer}"
        f"{shorter} (trainer.max_epochs, less data)."
    )


def start_too_long(budget: float, spent: float, reserve: float) -> str:
    """Say that a budget is spent before the first run."""
    needed = format_seconds(spent + reserve)
    return (
        f"a budget of {format_seconds(budget)} is too small: on this machine, as busy as it is, start and report alone "
        f"take {needed}. Use --budget {math.ceil(2 * (spent + reserve) / 60)}m or more."
    )


def _without(pilot: PilotEstimates, names: list[str], trials: int) -> float:
    costs = {name: cost for name, cost in pilot.costs.items() if name not in names}
    spent = pilot.spent - 2 * sum(pilot.costs[name] for name in names) / pilot.workers
    fewer = PilotEstimates(costs, [], spent, pilot.workers, pilot.repeats)
    return fewer.seconds(*fewer.least(trials))


def parse_budget(text: str) -> float:
    """Read a time such as `1h30m` as seconds.

    Raises:
        StudyError: The text is not a time.

    Example:
        >>> parse_budget("10m"), parse_budget("1h30m"), parse_budget("90s")
        (600.0, 5400.0, 90.0)
    """
    found = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    if not text.strip() or found is None:
        raise StudyError(f"the budget must be a time such as 90s, 10m or 1h30m, got {text!r}.")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def format_seconds(seconds: float) -> str:
    """Format a time in the unit that suits it.

    Example:
        >>> format_seconds(42), format_seconds(95), format_seconds(7300)
        ('42 s', '1.6 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
