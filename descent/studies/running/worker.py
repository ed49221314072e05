"""The loop of one worker of a study: pilot, plan, rounds of tuning and final runs, until all pairs are decided."""

import time
from collections.abc import Callable
from dataclasses import asdict

from descent.studies.config_overlay import Config, look_up, set_key
from descent.studies.running.budget import Budget
from descent.studies.running.early_stop import stop_rule
from descent.studies.running.ledger import Ledger
from descent.studies.running.one_run import CRASHED, DONE, Outcome, RunOrder, execute
from descent.studies.running.pilot import check_pilot, costs_of, estimates_of
from descent.studies.running.planner import Plan, format_seconds, make_plan
from descent.studies.running.recorder import StudyError
from descent.studies.running.rounds import Rounds, left_of, round_of, rounds_begun
from descent.studies.running.search import Point
from descent.studies.running.stages import FINAL, PILOT, TUNE, Progress, RunKey
from descent.studies.running.supervisor import current_run, deaths_so_far
from descent.studies.statistics.group_sequential import LEAST
from descent.studies.study_config import StudyConfig
from foundation.errors import UserError

WAIT = 0.5
"""Seconds before a worker asks again whether the others have finished."""


class Worker:
    """Run the runs of a study that no other worker has taken.

    Args:
        config: The study.
        ledger: The runs' storage, shared with other workers.
        defaults: Each candidate's own values of the tuned keys.
        budget: The time of the whole study.
        say: Called with one line per run.
    """

    def __init__(
        self,
        config: StudyConfig,
        ledger: Ledger,
        defaults: dict[str, Point],
        budget: Budget,
        say: Callable[[str], None] = print,
    ) -> None:
        self.config, self.ledger, self.defaults = config, ledger, defaults
        self.budget, self.say = budget, say
        self._said: set[str] = set()
        self._all_runs: list[RunKey] = []
        self._expected = 0
        self._decided: dict[int, list[str]] = {}

    def run(self, plan_only: bool = False) -> Progress:
        """Work until the study is complete or, with `plan_only`, until it is planned.

        Raises:
            StudyError: The study as a whole cannot continue.
        """
        for death in deaths_so_far():
            self.ledger.note_death(*death)
        while True:
            progress = self._progress()
            runs = self._stage(progress, plan_only)
            if runs is None:
                return progress
            ready = progress.ready(runs, self._trials())
            if self.ledger.run_next([str(key) for key in ready], self._run) == "busy":
                self._say_once("waiting for the runs of other workers")
                time.sleep(WAIT)

    def most_rounds(self, plan: Plan) -> int:
        """Return the largest number of rounds: the planned one, or that after which the time ended the study.

        How many rounds the time allowed hardly depends on scores. So the whole error may be spent by then: the looks
        are judged as those of a study that was planned with so many rounds.
        """
        end = self.ledger.get("cut") or self.ledger.get("seeds")
        return plan.most if end is None or int(end) < LEAST else min(plan.most, int(end))

    def plan(self) -> Plan | None:
        """Return the plan, once it is stored."""
        found = self.ledger.get("plan")
        return None if found is None else Plan(**found)

    def _trials(self) -> int:
        plan = self.plan()
        return self.config.trials if plan is None else plan.trials

    def _progress(self) -> Progress:
        return Progress(self.config, self.ledger.outcomes(), self.defaults)

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    # -- stages --------------------------------------------------------------------------------------------------------

    def _stage(self, progress: Progress, plan_only: bool) -> list[RunKey] | None:
        """Return the runs of the current stage; `None` when the study is complete."""
        pilot = progress.pilot()
        self._check_baseline(progress)
        if not progress.complete(pilot):
            check_pilot(progress, self.budget, len(self.ledger.workers()))
            self._all_runs = pilot
            return pilot
        plan = Plan(**self.ledger.get_or_set("plan", lambda: asdict(self._plan(progress))))
        self._say_once(plan_sentence(plan, self.config, self.budget.seconds))
        if plan_only:
            return None
        rounds = Rounds(progress, self.defaults, plan, self._decided)
        self._all_runs = _unique([*pilot, *rounds.planned()])
        self._expected = max(plan.seeds, rounds_begun(progress))
        return rounds.next_runs(self._end(progress, plan))

    def _end(self, progress: Progress, plan: Plan) -> int:
        """Return the number of rounds after which the study ends, as stored, or the planned one.

        It is stored when the time left does not suffice for another round (`seeds`), and again if the round that was
        begun cannot be finished either (`cut`), since the machine got slower. It never depends on scores.
        """
        stored, cut = self.ledger.get("seeds"), self.ledger.get("cut")
        if cut is not None:
            return int(cut)
        if self.budget.seconds is None:
            return int(plan.most if stored is None else stored)
        begun, costs, left = rounds_begun(progress), costs_of(progress), self.budget.left

        def seconds(rounds: int) -> float:
            missing = left_of(self._all_runs, progress, rounds)
            return sum(costs[key.candidate] for key in missing) / len(self.ledger.workers())

        if seconds(begun) > left and max(costs.values()) > left:
            whole = [n for n in range(begun + 1) if not left_of(self._all_runs, progress, n)]
            return int(self.ledger.get_or_set("cut", lambda: max(whole, default=0)))
        if stored is not None:
            return int(stored)
        if begun < plan.most and seconds(begun + 1) > left:
            return int(self.ledger.get_or_set("seeds", lambda: begun))
        return plan.most

    def _check_baseline(self, progress: Progress) -> None:
        first = progress.outcomes.get(str(RunKey(TUNE, self.config.baseline, 0)))
        if first is not None and first["status"] == CRASHED:
            raise StudyError(f"the baseline, {self.config.baseline}, crashes: {first['message']}")

    def _plan(self, progress: Progress) -> Plan:
        estimates = estimates_of(progress, self.budget, len(self.ledger.workers()))
        config = self.config
        return make_plan(estimates, config.trials, config.seeds, self.budget.seconds, config.smallest_difference)

    # -- one run -------------------------------------------------------------------------------------------------------

    def _run(self, text: str) -> Outcome:
        # Another worker may have enqueued this run after more runs were finished: read the storage again.
        key, progress = RunKey.parse(text), self._progress()
        order, point = order_of(progress, key, self._trials())
        with current_run(text):
            outcome = execute(order)
        if outcome["status"] == DONE:
            self.budget.observe_run(key.candidate, outcome["wall"])
        self.say(self._line(key, point, outcome, progress))
        return {**outcome, "point": point, "seed": order.seed}

    def _line(self, key: RunKey, point: Point, outcome: Outcome, progress: Progress) -> str:
        runs = [run for run in self._all_runs if round_of(run, self.config.final_runs) < max(self._expected, 1)]
        done = sum(str(run) in progress.outcomes for run in runs) + 1
        stage = {TUNE: "trial", PILOT: "pilot", FINAL: "seed"}[key.stage]
        stage = f"round {key.round + 1}, {stage}" if key.round else stage
        total, width = str(len(runs)), max(map(len, self.config.names))
        head = f"[{done:>{len(total)}}/{total}] {stage} {key.index + 1}  {key.candidate:<{width}}"
        values = "  ".join(f"{name.rpartition('.')[2]} {value:<8.3g}" for name, value in point.items())
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
        runs = sum(costs[run.candidate] for run in missing) / len(self.ledger.workers())
        return min(runs, max(self.budget.left, 0.0))


def order_of(progress: Progress, key: RunKey, trials: int) -> tuple[RunOrder, Point]:
    """Return what a run has to do, and its values of the tuned keys.

    Args:
        progress: The finished runs.
        key: The run.
        trials: Trials of a tuning.
    """
    study, point, seed = progress.config, progress.point(key, trials), progress.seed(key)
    config = study.run_config(key.candidate)
    for name, value in {**point, **dict.fromkeys(study.seed_keys, seed)}.items():
        set_key(config, name, value)
    if study.split_key:
        set_key(config, study.split_key, split_seed(config, study.split_key) + progress.split(key))
    stop = stop_rule(progress, key)
    return RunOrder(config, seed, study.metric, key.stage == FINAL, study.threads, stop), point


def _unique(runs: list[RunKey]) -> list[RunKey]:
    """Leave out repetitions: the first tuning trial belongs to the pilot too."""
    return list(dict.fromkeys(runs))


def split_seed(config: Config, key: str) -> int:
    """Return the seed of the validation split in a config; 0 where it is not set."""
    try:
        return int(look_up(config, key))
    except UserError:
        return 0


def plan_sentence(plan: Plan, config: StudyConfig, budget: float | None) -> str:
    """Say how large the study is, how long it takes, and which difference it can detect."""
    trials = f"{plan.trials} trial{'s' * (plan.trials > 1)}"
    size = f"{len(config.names)} candidates × {trials} × {plan.seeds} seeds"
    if config.tuned_in_rounds:
        each = f"{trials} and {config.final_runs} final run{'s' * (config.final_runs > 1)}"
        size = f"{len(config.names)} candidates × {plan.seeds} rounds of {each}"
    time_ = (
        f"{format_seconds(budget)} allow {size}" if budget else f"{size} take {format_seconds(plan.seconds)} at most"
    )
    if plan.limit is None:
        return f"{time_}; the pilot runs of a candidate are all equal, so the detectable difference is not known."
    points = config.larger_is_better and plan.limit < 1 and "accuracy" in config.metric
    limit = f"{100 * plan.limit:.1f} points" if points else f"{plan.limit:.3g}"
    tuning = ", without the variation of tuning" if config.tuned_in_rounds else ""
    return f"{time_}; the smallest detectable difference is {limit} of {config.metric}{tuning}."
