"""The loop of one worker: pilot, plan, tuning, re-runs, until nothing of the study is missing."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from descent.studies.config_overlay import lay
from descent.studies.running.ledger import Ledger
from descent.studies.running.one_run import CRASHED, DONE, Outcome, RunOrder, execute
from descent.studies.running.planner import Pilot, Plan, make_plan, seeds_for, words
from descent.studies.running.recorder import StudyError
from descent.studies.running.search import Point
from descent.studies.running.stages import PILOT, RERUN, TUNE, Progress, RunKey
from descent.studies.study_config import StudyConfig

WAIT = 0.5


class Worker:
    """Does runs of a study that nobody else is at.

    Args:
        config: The study.
        ledger: Where the runs stand; shared with other workers.
        defaults: Each candidate's own values of what is tuned.
        budget: Seconds, or `None`.
        say: Gets a line for each run.
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
        self._announced = self._waited = False
        self._total: list[RunKey] = []

    def run(self, plan_only: bool = False) -> Progress:
        """Work until the study is complete, or with `plan_only` until its plan is there.

        Raises:
            StudyError: The study as a whole cannot go on.
        """
        while True:
            progress = Progress(self.config, self.ledger.outcomes(), self.defaults)
            runs, total = self._stage(progress, plan_only)
            if progress.complete(runs):
                return progress
            missing = progress.missing(runs)
            keys = [str(key) for key in missing]
            self._total = total
            if self.ledger.work(keys, self._do) == "busy":
                self._wait()

    def plan(self) -> Plan | None:
        """The plan, once it is settled."""
        found = self.ledger.settled("plan")
        return None if found is None else Plan(**found)

    # -- stages --------------------------------------------------------------------------------------------------------

    def _stage(self, progress: Progress, plan_only: bool) -> tuple[list[RunKey], list[RunKey]]:
        """Runs of the present stage, and all that are planned so far."""
        pilot = progress.pilot()
        self._check_baseline(progress)
        if not progress.complete(pilot):
            return pilot, pilot
        plan = Plan(**self.ledger.once("plan", lambda: asdict(self._plan(progress))))
        self._announce(plan, progress)
        if plan_only:
            return [], []
        tuning = progress.tuning(plan.trials)
        expected = [RunKey(RERUN, name, index) for index in range(plan.seeds) for name in self.config.names]
        if not progress.complete(tuning):
            return tuning, [*pilot, *tuning, *expected]
        seeds = self.ledger.once("seeds", lambda: self._seeds(plan, progress))
        reruns = progress.reruns(seeds)
        return reruns, [*pilot, *tuning, *reruns]

    def _check_baseline(self, progress: Progress) -> None:
        first = progress.outcomes.get(str(RunKey(TUNE, self.config.baseline, 0)))
        if first is not None and first["status"] == CRASHED:
            raise StudyError(f"the baseline, {self.config.baseline}, crashes: {first['message']}")

    def _plan(self, progress: Progress) -> Plan:
        return make_plan(
            measured(progress, len(self.ledger.workers())),
            self.config.trials,
            self.config.seeds,
            self.budget,
            self.config.smallest_difference,
        )

    def _seeds(self, plan: Plan, progress: Progress) -> int:
        if self.budget is None:
            return plan.seeds
        workers = len(self.ledger.workers())
        spent = sum(outcome.get("wall") or 0.0 for outcome in progress.outcomes.values()) / workers
        costs = costs_of(progress)
        rounds = sum(costs[name] for name in costs if progress.chosen(name) is not None) / workers
        return seeds_for(self.budget - spent, rounds, plan.seeds)

    # -- one run -------------------------------------------------------------------------------------------------------

    def _do(self, text: str) -> Outcome:
        # The run may be one that another worker enqueued, who knew of more than this one did: ask again what is there.
        key, progress = RunKey.parse(text), Progress(self.config, self.ledger.outcomes(), self.defaults)
        plan = self.plan()
        trials = plan.trials if plan is not None else self.config.trials
        point = progress.point(key, trials)
        config = self.config.run_config(key.candidate)
        for name, value in point.items():
            lay(config, name, value)
        seed = progress.seed(key)
        for name in self.config.seed_keys:
            lay(config, name, seed)
        outcome = execute(RunOrder(config, seed, self.config.metric, key.stage == RERUN, self.config.threads))
        self.say(self._line(key, point, outcome, progress))
        return {**outcome, "point": point, "seed": seed}

    def _line(self, key: RunKey, point: Point, outcome: Outcome, progress: Progress) -> str:
        done = sum(str(run) in progress.outcomes for run in self._total) + 1
        values = "  ".join(f"{name.rpartition('.')[2]} {value:.3g}" for name, value in point.items())
        metric = self.config.metric
        result = f"{metric} {outcome['score']:.4f}" if outcome["status"] == DONE else outcome["status"].upper()
        if outcome["status"] == CRASHED:
            result += f": {outcome['message'][:120]}"
        costs = {**dict.fromkeys(self.config.names, float(outcome["wall"])), **costs_of(progress)}
        missing = [run for run in self._total if str(run) not in progress.outcomes and run != key]
        left = sum(costs[run.candidate] for run in missing) / len(self.ledger.workers())
        stage = {TUNE: "trial", PILOT: "pilot", RERUN: "seed"}[key.stage]
        eta = "" if self.plan() is None else f"  {words(left)} left"
        head = f"[{done}/{len(self._total)}] {stage} {key.index + 1}  {key.candidate}"
        return f"{head}  {values}  {result}  {outcome['wall']:.1f} s{eta}"

    def _announce(self, plan: Plan, progress: Progress) -> None:
        if self._announced:
            return
        self._announced = True
        self.say(plan_sentence(plan, progress, self.budget))

    def _wait(self) -> None:
        if not self._waited:
            self._waited = True
            self.say("waiting for the runs of other workers")
        time.sleep(WAIT)


def costs_of(progress: Progress) -> dict[str, float]:
    """Mean seconds of a run so far, by candidate."""
    found: dict[str, list[float]] = {}
    for text, outcome in progress.outcomes.items():
        if outcome.get("wall"):
            found.setdefault(RunKey.parse(text).candidate, []).append(outcome["wall"])
    return {name: sum(walls) / len(walls) for name, walls in found.items()}


def measured(progress: Progress, workers: int) -> Pilot:
    """What the pilot says."""
    rows = []
    for name in progress.config.names:
        keys = [key for key in progress.pilot() if key.candidate == name]
        scores: list[Any] = [progress.outcomes[str(key)]["score"] for key in keys]
        if None not in scores:
            rows.append(scores)
    spent = sum(progress.outcomes[str(key)].get("wall") or 0.0 for key in progress.pilot())
    return Pilot(costs_of(progress), rows, spent / workers, workers)


def plan_sentence(plan: Plan, progress: Progress, budget: float | None) -> str:
    """What the study will do, how long that takes and what it can find."""
    names = len(progress.config.names)
    size = f"{names} candidates × {plan.trials} trial{'s' * (plan.trials > 1)} × {plan.seeds} seeds"
    time_ = f"{words(budget)} allow {size}" if budget else f"{size} take about {words(plan.seconds)}"
    if plan.limit is None:
        return f"{time_}; the pilot's runs do not differ enough to say which difference this can find."
    points = progress.config.larger_is_better and plan.limit < 1 and "accuracy" in progress.config.metric
    limit = f"{100 * plan.limit:.1f} points" if points else f"{plan.limit:.3g}"
    return f"{time_}; the smallest difference this can find is {limit} of {progress.config.metric}."
