"""The loop of one worker of a study: pilot, plan, tuning, final runs, until all runs are finished."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from descent.studies.config_overlay import set_key
from descent.studies.running.ledger import Ledger
from descent.studies.running.one_run import CRASHED, DONE, Outcome, RunOrder, execute
from descent.studies.running.planner import PilotEstimates, Plan, affordable_seeds, format_seconds, make_plan
from descent.studies.running.recorder import StudyError
from descent.studies.running.search import Point
from descent.studies.running.stages import FINAL, PILOT, TUNE, Progress, RunKey
from descent.studies.study_config import StudyConfig

WAIT = 0.5
"""Seconds before a worker asks again whether the others have finished."""


class Worker:
    """Run the runs of a study that no other worker has taken.

    Args:
        config: The study.
        ledger: The runs' storage, shared with other workers.
        defaults: Each candidate's own values of the tuned keys.
        budget: Seconds of the whole study, or `None`.
        say: Called with one line per run.
    """

    def __init__(
        self,
        config: StudyConfig,
        ledger: Ledger,
        defaults: dict[str, Point],
        budget: float | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.config, self.ledger, self.defaults = config, ledger, defaults
        self.budget, self.say = budget, say
        self._said: set[str] = set()
        self._all_runs: list[RunKey] = []

    def run(self, plan_only: bool = False) -> Progress:
        """Work until the study is complete or, with `plan_only`, until it is planned.

        Raises:
            StudyError: The study as a whole cannot continue.
        """
        while True:
            progress = self._progress()
            runs, self._all_runs = self._stage(progress, plan_only)
            if progress.complete(runs):
                return progress
            if self.ledger.run_next([str(key) for key in progress.ready(runs)], self._run) == "busy":
                self._say_once("waiting for the runs of other workers")
                time.sleep(WAIT)

    def plan(self) -> Plan | None:
        """Return the plan, once it is stored."""
        found = self.ledger.get("plan")
        return None if found is None else Plan(**found)

    def _progress(self) -> Progress:
        return Progress(self.config, self.ledger.outcomes(), self.defaults)

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    # -- stages --------------------------------------------------------------------------------------------------------

    def _stage(self, progress: Progress, plan_only: bool) -> tuple[list[RunKey], list[RunKey]]:
        """Return the runs of the current stage, and all runs that are planned so far."""
        pilot = progress.pilot()
        self._check_baseline(progress)
        if not progress.complete(pilot):
            return pilot, pilot
        plan = Plan(**self.ledger.get_or_set("plan", lambda: asdict(self._plan(progress))))
        self._say_once(plan_sentence(plan, self.config, self.budget))
        if plan_only:
            return [], []
        tuning = progress.tuning(plan.trials)
        if not progress.complete(tuning):
            expected = [RunKey(FINAL, name, index) for index in range(plan.seeds) for name in self.config.names]
            return tuning, _unique([*pilot, *tuning, *expected])
        final = progress.final_runs(self.ledger.get_or_set("seeds", lambda: self._seeds(plan, progress)))
        return final, _unique([*pilot, *tuning, *final])

    def _check_baseline(self, progress: Progress) -> None:
        first = progress.outcomes.get(str(RunKey(TUNE, self.config.baseline, 0)))
        if first is not None and first["status"] == CRASHED:
            raise StudyError(f"the baseline, {self.config.baseline}, crashes: {first['message']}")

    def _plan(self, progress: Progress) -> Plan:
        estimates = estimates_of(progress, len(self.ledger.workers()))
        config = self.config
        return make_plan(estimates, config.trials, config.seeds, self.budget, config.smallest_difference)

    def _seeds(self, plan: Plan, progress: Progress) -> int:
        if self.budget is None:
            return plan.seeds
        workers = len(self.ledger.workers())
        spent = sum(outcome.get("wall") or 0.0 for outcome in progress.outcomes.values()) / workers
        costs = costs_of(progress)
        per_seed = sum(costs[name] for name in costs if progress.best_point(name) is not None) / workers
        return affordable_seeds(self.budget - spent, per_seed, plan.seeds)

    # -- one run -------------------------------------------------------------------------------------------------------

    def _run(self, text: str) -> Outcome:
        # Another worker may have enqueued this run after more runs were finished: read the storage again.
        key, progress = RunKey.parse(text), self._progress()
        plan = self.plan()
        point = progress.point(key, plan.trials if plan is not None else self.config.trials)
        seed = progress.seed(key)
        config = self.config.run_config(key.candidate)
        for name, value in {**point, **dict.fromkeys(self.config.seed_keys, seed)}.items():
            set_key(config, name, value)
        outcome = execute(RunOrder(config, seed, self.config.metric, key.stage == FINAL, self.config.threads))
        self.say(self._line(key, point, outcome, progress))
        return {**outcome, "point": point, "seed": seed}

    def _line(self, key: RunKey, point: Point, outcome: Outcome, progress: Progress) -> str:
        done = sum(str(run) in progress.outcomes for run in self._all_runs) + 1
        stage = {TUNE: "trial", PILOT: "pilot", FINAL: "seed"}[key.stage]
        head = f"[{done}/{len(self._all_runs)}] {stage} {key.index + 1}  {key.candidate}"
        values = "  ".join(f"{name.rpartition('.')[2]} {value:.3g}" for name, value in point.items())
        result = outcome["status"].upper()
        if outcome["status"] == DONE:
            result = f"{self.config.metric} {outcome['score']:.4f}"
        elif outcome["status"] == CRASHED:
            result += f": {outcome['message'][:120]}"
        left = "" if self.plan() is None else f"  {format_seconds(self._seconds_left(key, outcome, progress))} left"
        return f"{head}  {values}  {result}  {outcome['wall']:.1f} s{left}"

    def _seconds_left(self, key: RunKey, outcome: Outcome, progress: Progress) -> float:
        costs = {**dict.fromkeys(self.config.names, float(outcome["wall"])), **costs_of(progress)}
        missing = [run for run in self._all_runs if str(run) not in progress.outcomes and run != key]
        return sum(costs[run.candidate] for run in missing) / len(self.ledger.workers())


def _unique(runs: list[RunKey]) -> list[RunKey]:
    """Leave out repetitions: the first tuning trial belongs to the pilot too."""
    return list(dict.fromkeys(runs))


def costs_of(progress: Progress) -> dict[str, float]:
    """Compute the mean seconds of a run so far, by candidate."""
    found: dict[str, list[float]] = {}
    for text, outcome in progress.outcomes.items():
        if outcome.get("wall"):
            found.setdefault(RunKey.parse(text).candidate, []).append(outcome["wall"])
    return {name: sum(seconds) / len(seconds) for name, seconds in found.items()}


def estimates_of(progress: Progress, workers: int) -> PilotEstimates:
    """Collect what the planner needs from the finished pilot."""
    rows = []
    for name in progress.config.names:
        scores: list[Any] = [progress.outcomes[str(key)]["score"] for key in progress.pilot() if key.candidate == name]
        if None not in scores:
            rows.append(scores)
    spent = sum(progress.outcomes[str(key)].get("wall") or 0.0 for key in progress.pilot())
    return PilotEstimates(costs_of(progress), rows, spent / workers, workers)


def plan_sentence(plan: Plan, config: StudyConfig, budget: float | None) -> str:
    """Say how large the study is, how long it takes, and which difference it can detect."""
    size = f"{len(config.names)} candidates × {plan.trials} trial{'s' * (plan.trials > 1)} × {plan.seeds} seeds"
    time_ = f"{format_seconds(budget)} allow {size}" if budget else f"{size} take about {format_seconds(plan.seconds)}"
    if plan.limit is None:
        return f"{time_}; the pilot runs of a candidate are all equal, so the detectable difference is not known."
    points = config.larger_is_better and plan.limit < 1 and "accuracy" in config.metric
    limit = f"{100 * plan.limit:.1f} points" if points else f"{plan.limit:.3g}"
    return f"{time_}; the smallest detectable difference is {limit} of {config.metric}."
