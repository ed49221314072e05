"""What the pilot runs tell: seconds per run, spread, and whether the budget can suffice at all."""

from dataclasses import replace
from typing import Any

from descent.studies.running.budget import Budget
from descent.studies.running.planner import PilotEstimates, start_too_long, too_small
from descent.studies.running.recorder import StudyError
from descent.studies.running.stages import Progress, RunKey

RECENT = 5
"""Runs of a candidate that its seconds are estimated from."""
FEWEST_RUNS = 2
"""Runs before a budget is refused: the first one takes longer than the others."""


def costs_of(progress: Progress) -> dict[str, float]:
    """Compute the mean seconds of a candidate's last runs; for one without a run the mean of all.

    Only the last ones count, since other load on the machine comes and goes. The study's very first run loads what all
    later ones use, and does not count where its candidate has others.
    """
    found: dict[str, list[float]] = {}
    for text, outcome in progress.outcomes.items():
        if outcome.get("wall"):
            found.setdefault(RunKey.parse(text).candidate, []).append(outcome["wall"])
    first = next(iter(found), None)
    if first is not None and len(found[first]) > 1:
        found[first] = found[first][1:]
    known = {name: sum(seconds[-RECENT:]) / len(seconds[-RECENT:]) for name, seconds in found.items()}
    typical = sum(known.values()) / len(known) if known else 0.0
    return {name: known.get(name, typical) for name in progress.config.names}


def estimates_of(progress: Progress, budget: Budget, workers: int) -> PilotEstimates:
    """Collect what the planner needs from the pilot runs that are finished."""
    rows = []
    for name in progress.config.names:
        keys = [str(key) for key in progress.pilot() if key.candidate == name]
        scores: list[Any] = [progress.outcomes[key]["score"] for key in keys if key in progress.outcomes]
        if scores and None not in scores:
            rows.append(scores)
    config = progress.config
    repeats = config.final_runs if config.tuned_in_rounds else 0
    return PilotEstimates(costs_of(progress), rows, budget.spent + budget.reserve, workers, repeats)


def check_pilot(progress: Progress, budget: Budget, workers: int) -> None:
    """Stop a study early whose budget is too small even if every run took no longer than the shortest one so far.

    Raises:
        StudyError: Even the smallest study would take longer.
    """
    if budget.seconds is None:
        return
    if not progress.outcomes:
        if budget.left <= 0:
            raise StudyError(start_too_long(budget.seconds, budget.spent, budget.reserve))
        return
    if len(progress.outcomes) < FEWEST_RUNS:
        return
    estimates = estimates_of(progress, budget, workers)
    seconds = [outcome["wall"] for outcome in progress.outcomes.values() if outcome.get("wall")]
    cheapest = min(seconds, default=0.0)
    costs = {name: min(cost, cheapest) for name, cost in estimates.costs.items()}
    left = sum(1 for key in progress.pilot() if str(key) not in progress.outcomes)
    pilot = estimates.spent + left * cheapest / workers
    whole = PilotEstimates(costs, [], pilot, workers, estimates.repeats)
    trials, seeds = whole.least(progress.config.trials)
    if whole.seconds(trials, seeds) > budget.seconds:
        raise StudyError(too_small(replace(whole, costs=estimates.costs), trials, budget.seconds))
