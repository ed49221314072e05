"""What the runs of a study say of its candidates: tests between them, time to the target, where the time goes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from descent.studies.report.new_images import decide_on_new_images
from descent.studies.report.pairs import Pair, pairs_of, tie_letters
from descent.studies.running.decisions import RoundDecisions
from descent.studies.running.one_run import CRASHED, DIVERGED, DONE, STOPPED
from descent.studies.running.recorder import PHASES
from descent.studies.running.search import Point
from descent.studies.running.stages import FINAL, TUNE, RunKey
from descent.studies.statistics.curves import censored_median, expected_best, first_reached
from descent.studies.statistics.group_sequential import LEAST
from descent.studies.statistics.intervals import Interval, bootstrap_t_interval, t_interval


@dataclass(frozen=True)
class CandidateSummary:
    """Results of one candidate; `None` where its final runs do not allow to compute one."""

    name: str
    point: Point | None
    """Median of what the tunings chose."""
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
    rounds: int
    """Rounds in which all its final runs have a score."""
    unmeasured: int
    """Final runs that ended and have no finite judged metric."""
    message: str


def median_point(points: Sequence[Point]) -> Point | None:
    """Return the median of each value, of an even number the lower one; `None` of no point.

    Example:
        >>> median_point([{"lr": 0.1}, {"lr": 0.3}, {"lr": 0.01}])
        {'lr': 0.1}
    """
    if not points:
        return None
    return {key: sorted(point[key] for point in points)[(len(points) - 1) // 2] for key in points[0]}


class StudyAnalysis(RoundDecisions):
    """Analyse the finished runs of a study; everything is computed from their outcomes alone."""

    # -- comparison of the candidates ----------------------------------------------------------------------------------

    @cached_property
    def summaries(self) -> list[CandidateSummary]:
        """One summary per candidate, in the order of the config."""
        return [self._summary(name) for name in self.config.names]

    def _summary(self, name: str) -> CandidateSummary:
        all_runs = [o for key, o in self.outcomes.items() if key.candidate == name]
        final = self.of(FINAL, name)
        scores = {i: v for i, o in final.items() if (v := self.judged(o)) is not None}
        values = self.block_means(name)
        interval = bootstrap_t_interval if self.config.interval == "bootstrap" and len(values) > 3 else t_interval
        statuses = [o["status"] for o in final.values()]
        return CandidateSummary(
            name=name,
            point=median_point(self.progress.points(name)),
            at_edge=self.progress.keys_at_edge(name),
            mean=interval(values) if len(values) > 1 else None,
            scores=scores,
            diverged=sum(o["status"] == DIVERGED for o in all_runs),
            crashed=sum(o["status"] == CRASHED for o in all_runs),
            runs=len(all_runs),
            final_diverged=statuses.count(DIVERGED),
            final_crashed=statuses.count(CRASHED),
            final_runs=len(statuses),
            rounds=len(values),
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
    def pairs(self) -> dict[tuple[str, str], Pair]:
        """What was decided on each pair, in both orders; empty if no pair has enough rounds for a decision."""
        if self.decisions is None or self.rounds < LEAST:
            return {}
        found = pairs_of(self.round_scores, self.decisions, self.config.larger_is_better)
        return found if any(pair.rounds >= LEAST for pair in found.values()) else {}

    @cached_property
    def new_images(self) -> dict[tuple[str, str], Pair]:
        """What can be said of pairs on new test images of the same kind, in both orders; without those that lack it."""
        return decide_on_new_images(self, self.pairs)

    @cached_property
    def letters(self) -> dict[str, str]:
        """Letters of each compared candidate; two share one exactly if neither was found better than the other."""
        return tie_letters([name for name in self.ranking if name in self.compared], self.pairs) if self.pairs else {}

    def round_differences(self, name: str, other: str) -> dict[int, float]:
        """Return the differences of two candidates, by the number of the round, where both have a score."""
        x, y = (self.all_scores.means[self.config.names.index(each)] for each in (name, other))
        both = np.isfinite(x) & np.isfinite(y)
        sign = 1 if self.config.larger_is_better else -1
        return {int(number): sign * float(x[number] - y[number]) for number in np.flatnonzero(both)}

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
        """Return the expected best validation score of k tuning trials, for k = 1 up to all; the mean over tunings."""
        curves = [
            expected_best(
                [self._trial_score(RunKey(TUNE, name, index, number)) for index in range(len(history))],
                self.config.larger_is_better,
            )
            for number, history in enumerate(self.progress.histories(name))
        ]
        whole = [curve for curve in curves if len(curve) == max(map(len, curves))]
        return [float(value) for value in np.mean(whole, axis=0)] if whole else []

    def _trial_score(self, key: RunKey) -> float:
        """Return a trial's score; of a stopped one the last it had, of a failed one the worst of the study."""
        outcome = self.outcomes[key]
        if outcome["status"] == STOPPED and outcome["scores"]:
            return float(outcome["scores"][-1])
        return self.worst if outcome["score"] is None else float(outcome["score"])

    @property
    def stopped(self) -> tuple[int, int]:
        """Numbers of tuning trials that were stopped before their end, and of all."""
        statuses = [o["status"] for key, o in self.outcomes.items() if key.stage == TUNE]
        return statuses.count(STOPPED), len(statuses)

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
