"""What the runs of a study say of its candidates: tests between them, time to the target, where the time goes."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from descent.studies.report.pairs import Pair, RoundScores, decisions_of, pairs_of, round_scores, tie_letters
from descent.studies.report.scale import is_share
from descent.studies.running.one_run import CRASHED, DIVERGED, DONE, Outcome
from descent.studies.running.recorder import PHASES
from descent.studies.running.search import Point
from descent.studies.running.stages import FINAL, TUNE, Progress, RunKey
from descent.studies.statistics.curves import censored_median, expected_best, first_reached
from descent.studies.statistics.group_sequential import LEAST
from descent.studies.statistics.intervals import Interval, bootstrap_t_interval, t_interval
from descent.studies.statistics.sequential_test import Decisions
from descent.studies.study_config import StudyConfig

ALPHA = 0.05
SHARE_DELTA, RELATIVE_DELTA = 0.01, 0.02


@dataclass(frozen=True)
class CandidateSummary:
    """Results of one candidate; `None` where its final runs do not allow to compute one."""

    name: str
    point: Point | None
    at_edge: list[str]
    mean: Interval | None
    scores: dict[int, float]
    """Judged metric by number of the final run."""
    diverged: int
    crashed: int
    runs: int
    """All runs, of which so many diverged or crashed."""
    final_diverged: int
    final_crashed: int
    final_runs: int
    """Final runs alone."""
    unmeasured: int
    """Final runs that ended and have no finite judged metric."""
    message: str


class StudyAnalysis:
    """Analyse the finished runs of a study; everything is computed from their outcomes alone.

    Args:
        config: The study.
        outcomes: Outcomes of its runs, by key.
        defaults: Each candidate's own values of the tuned keys.
        trials: Planned tuning trials per candidate.
        seeds: Planned final runs per candidate.
    """

    def __init__(
        self,
        config: StudyConfig,
        outcomes: Mapping[str, Outcome],
        defaults: Mapping[str, Point],
        trials: int,
        seeds: int,
    ) -> None:
        self.config, self.trials, self.seeds = config, trials, seeds
        self.outcomes = {RunKey.parse(key): outcome for key, outcome in outcomes.items()}
        self.progress = Progress(config, outcomes, defaults)

    def of(self, stage: str, candidate: str) -> dict[int, Outcome]:
        """Return the finished runs of one candidate in one stage, by number."""
        found = {k.index: o for k, o in self.outcomes.items() if (k.stage, k.candidate) == (stage, candidate)}
        return dict(sorted(found.items()))

    def final(self, candidate: str) -> Iterable[Outcome]:
        """Return the outcomes of a candidate's final runs."""
        return self.of(FINAL, candidate).values()

    # -- comparison of the candidates ----------------------------------------------------------------------------------

    @cached_property
    def metric(self) -> str:
        """The judged metric: the test metric if a final run has a finite one, else the validation metric."""
        name = self.config.metric.replace("val/", "test/", 1)
        done = [o for key, o in self.outcomes.items() if key.stage == FINAL and o["status"] == DONE]
        return name if any(o["test"].get(name) is not None for o in done) else self.config.metric

    def judged(self, outcome: Outcome) -> float | None:
        """Return the judged metric of a final run; `None` if it diverged or crashed."""
        if outcome["status"] != DONE:
            return None
        value = outcome["score"] if self.metric.startswith("val/") else outcome["test"].get(self.metric)
        return None if value is None else float(value)

    @cached_property
    def summaries(self) -> list[CandidateSummary]:
        """One summary per candidate, in the order of the config."""
        return [self._summary(name) for name in self.config.names]

    def _summary(self, name: str) -> CandidateSummary:
        all_runs = [o for key, o in self.outcomes.items() if key.candidate == name]
        final = self.of(FINAL, name)
        scores = {i: v for i, o in final.items() if (v := self.judged(o)) is not None}
        values = list(scores.values())
        interval = bootstrap_t_interval if self.config.interval == "bootstrap" and len(values) > 3 else t_interval
        statuses = [o["status"] for o in final.values()]
        return CandidateSummary(
            name=name,
            point=self.progress.best_point(name),
            at_edge=self.progress.keys_at_edge(name),
            mean=interval(values) if len(values) > 1 else None,
            scores=scores,
            diverged=sum(o["status"] == DIVERGED for o in all_runs),
            crashed=sum(o["status"] == CRASHED for o in all_runs),
            runs=len(all_runs),
            final_diverged=statuses.count(DIVERGED),
            final_crashed=statuses.count(CRASHED),
            final_runs=len(statuses),
            unmeasured=statuses.count(DONE) - len(scores),
            message=next((str(o["message"]) for o in all_runs if o["status"] == CRASHED), ""),
        )

    @cached_property
    def ranking(self) -> list[str]:
        """All candidates by their mean, the best first; candidates without a mean come last."""
        means = {name: self.mean(name) for name in self.config.names}
        sign = -1 if self.config.larger_is_better else 1
        return sorted(means, key=lambda name: (math.isnan(means[name]), sign * means[name]))

    def mean(self, name: str) -> float:
        """Return a candidate's mean of the judged metric; NaN if it has fewer than two scores."""
        return next((float(s.mean.mean) for s in self.summaries if s.name == name and s.mean is not None), math.nan)

    @cached_property
    def compared(self) -> list[str]:
        """Candidates with at least two scores in final runs; only these are compared, by the rounds that they share."""
        return [s.name for s in self.summaries if s.mean is not None]

    @cached_property
    def delta(self) -> float:
        """The largest difference that does not matter.

        It is `smallest_difference` of the study; by default 0.01 for a metric that is a share, such as accuracy, and
        2 % of the baseline's mean for another one.
        """
        if self.config.smallest_difference is not None:
            return self.config.smallest_difference
        if is_share(self.metric):
            return SHARE_DELTA
        means = [abs(m) for n in (self.config.baseline, *self.ranking) if not math.isnan(m := self.mean(n))]
        return RELATIVE_DELTA * means[0] if means else 0.0

    @cached_property
    def round_scores(self) -> RoundScores:
        """Scores of the compared candidates by round."""
        rounds = max((k.index for k in self.outcomes if k.stage == FINAL), default=-1) + 1
        scores = {name: self._judged_or_diverged(name) for name in self.compared}
        return round_scores(scores, rounds, 1, self.config.larger_is_better)

    def _judged_or_diverged(self, name: str) -> dict[int, float | None]:
        """Return the scores of a candidate's final runs, `None` for those that diverged; leave out those without."""
        values = {i: (o["status"], self.judged(o)) for i, o in self.of(FINAL, name).items()}
        return {i: value for i, (status, value) in values.items() if status == DIVERGED or value is not None}

    @cached_property
    def decisions(self) -> Decisions | None:
        """The decisions on all compared pairs; `None` if there are fewer than two candidates."""
        if len(self.compared) < 2:
            return None
        return decisions_of(self.round_scores, max(self.seeds, self.rounds), self.delta, ALPHA)

    @property
    def rounds(self) -> int:
        """Number of rounds of final runs that were run."""
        return int(self.round_scores.means.shape[1])

    @cached_property
    def pairs(self) -> dict[tuple[str, str], Pair]:
        """What was decided on each pair, in both orders; empty if no pair has enough rounds for a decision."""
        if self.decisions is None or self.rounds < LEAST:
            return {}
        found = pairs_of(self.round_scores, self.decisions, self.config.larger_is_better)
        return found if any(pair.rounds >= LEAST for pair in found.values()) else {}

    @cached_property
    def letters(self) -> dict[str, str]:
        """Letters of each compared candidate; two share one exactly if neither was found better than the other."""
        return tie_letters([name for name in self.ranking if name in self.compared], self.pairs) if self.pairs else {}

    def pairing(self) -> tuple[bool, bool]:
        """Tell whether final runs with the same seed had the same initial weights, and the same first batch."""
        same = []
        for what in ("weights", "batches"):
            by_index: dict[int, set[str]] = {}
            for key, o in self.outcomes.items():
                if key.stage == FINAL and o.get(what):
                    by_index.setdefault(key.index, set()).add(o[what])
            same.append(all(len(found) == 1 for found in by_index.values()))
        return same[0], same[1]

    # -- tuning --------------------------------------------------------------------------------------------------------

    @cached_property
    def worst(self) -> float:
        """The worst score of all tuning trials, which a diverged trial gets."""
        scores = [o["score"] for k, o in self.outcomes.items() if k.stage == TUNE and o["score"] is not None]
        pick = min if self.config.larger_is_better else max
        return float(pick(scores)) if scores else math.nan

    def expected(self, name: str) -> list[float]:
        """Return the expected best validation score of k tuning trials, for k = 1 up to all."""
        scores = [self.worst if score is None else score for _, score in self.progress.tuning_history(name)]
        return expected_best(scores, self.config.larger_is_better)

    # -- target and time -----------------------------------------------------------------------------------------------

    @cached_property
    def target(self) -> float | None:
        """Median validation score at the end of the target candidates' final runs."""
        ends = [o["score"] for name in self.config.targets for o in self.final(name) if o["status"] == DONE]
        return float(np.median(ends)) if ends else None

    def to_target(self, name: str, clock: str) -> tuple[float, int]:
        """Return the median steps or seconds to the target, and how many final runs reached it."""
        if self.target is None:
            return math.nan, 0
        times = [
            first_reached(
                o[clock], [math.nan if s is None else s for s in o["scores"]], self.target, self.config.larger_is_better
            )
            for o in self.final(name)
            if o["status"] != CRASHED
        ]
        return censored_median(times), sum(math.isfinite(t) for t in times)

    @cached_property
    def timed(self) -> bool:
        """Whether the machine was otherwise idle in at least 90 % of the final runs; only then is time reported."""
        flags = [o.get("alone") for key, o in self.outcomes.items() if key.stage == FINAL and o["status"] == DONE]
        return bool(flags) and sum(flag is True for flag in flags) >= 0.9 * len(flags)

    def seconds(self, name: str) -> float:
        """Return the median training seconds of the final runs during which the machine was otherwise idle."""
        found = [o["seconds"][-1] for o in self.final(name) if o.get("alone") and o.get("seconds")]
        return float(np.median(found)) if found else math.nan

    def split(self, name: str) -> dict[str, float]:
        """Return the share of each phase of a training step, over all final runs."""
        sums = {p: sum(o["split"][p] for o in self.final(name) if o.get("split")) for p in PHASES}
        total = sum(sums.values())
        return {phase: value / total if total else math.nan for phase, value in sums.items()}

    def optimizer_bytes(self, name: str) -> float:
        """Return the bytes of optimizer state per parameter."""
        return next((o["bytes_per_parameter"] for o in self.final(name) if o.get("bytes_per_parameter")), 0.0)
