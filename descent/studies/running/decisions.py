"""What the finished rounds of a study decide; the worker asks it who goes on, the report what to say."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from descent.studies.running.one_run import CRASHED, DIVERGED, DONE, Outcome
from descent.studies.running.search import Point
from descent.studies.running.stages import FINAL, TUNE, Progress, RunKey
from descent.studies.statistics.counts import resolution
from descent.studies.statistics.group_sequential import LEAST
from descent.studies.statistics.intervals import Floats
from descent.studies.statistics.sequential_test import Decisions, decide
from descent.studies.study_config import StudyConfig
from foundation.metrics.names import by_canonical_name, canonical

ALPHA = 0.05
SHARE_DELTA, RELATIVE_DELTA = 0.01, 0.02

SHARES = ("accuracy", "recall", "precision", "f1", "dice", "iou", "jaccard", "auroc", "specificity")
"""Words in the names of metrics that are shares between 0 and 1."""


def is_share(metric: str) -> bool:
    """Tell whether a metric is a share between 0 and 1, which is written in percent."""
    return any(word in canonical(metric).rpartition("/")[2] for word in SHARES)


class RoundScores(NamedTuple):
    """Scores of the compared candidates, oriented so that larger is better; −∞ diverged, NaN missing."""

    names: list[str]
    runs: Floats
    """Shape (candidates, rounds, repeats): each final run."""

    @property
    def means(self) -> Floats:
        """Shape (candidates, rounds): mean of a round's final runs."""
        return np.asarray(self.runs.mean(axis=-1))

    @property
    def singles(self) -> Floats:
        """Shape (candidates, rounds): the first final run of each round."""
        return np.asarray(self.runs[..., 0])


class RoundDecisions:
    """Compare the candidates by the finished final runs of a study.

    Args:
        config: The study.
        outcomes: Outcomes of its runs, by key.
        defaults: Each candidate's own values of the tuned keys.
        trials: Tuning trials per candidate and tuning.
        seeds: The largest number of rounds.
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
        """Return the finished runs of one candidate in one stage, by number; of tuning those of the first one."""
        wanted = (stage, candidate, 0)
        found = {k.index: o for k, o in self.outcomes.items() if (k.stage, k.candidate, k.round) == wanted}
        return dict(sorted(found.items()))

    def final(self, candidate: str) -> Iterable[Outcome]:
        """Return the outcomes of a candidate's final runs."""
        return self.of(FINAL, candidate).values()

    # -- scores --------------------------------------------------------------------------------------------------------

    @cached_property
    def metric(self) -> str:
        """The judged metric: the test metric if a final run has a finite one, else the validation metric."""
        wanted = canonical(self.config.metric).replace("val/", "test/", 1)
        done = [o for key, o in self.outcomes.items() if key.stage == FINAL and o["status"] == DONE]
        known = by_canonical_name([name for o in done for name, value in o["test"].items() if value is not None])
        return known.get(wanted, self.config.metric)

    def judged(self, outcome: Outcome) -> float | None:
        """Return the judged metric of a final run; `None` if it diverged or crashed."""
        if outcome["status"] != DONE:
            return None
        value = outcome["score"] if self.metric == self.config.metric else outcome["test"].get(self.metric)
        return None if value is None else float(value)

    @property
    def rounds(self) -> int:
        """Number of rounds that have a final run."""
        last = max((k.index for k in self.outcomes if k.stage == FINAL), default=-1)
        return last // self.config.final_runs + 1

    @cached_property
    def all_scores(self) -> RoundScores:
        """Scores of all candidates by round."""
        sign = 1.0 if self.config.larger_is_better else -1.0
        runs = np.full((len(self.config.names), self.rounds, self.config.final_runs), np.nan)
        for row, name in zip(runs, self.config.names, strict=True):
            for index, outcome in self.of(FINAL, name).items():
                value = self.judged(outcome)
                place = divmod(index, self.config.final_runs)
                row[place] = -np.inf if outcome["status"] == DIVERGED else np.nan if value is None else sign * value
            for number in range(self.rounds):
                if self._tuning_diverged(name, number):
                    row[number] = -np.inf
        return RoundScores(list(self.config.names), runs)

    def _tuning_diverged(self, name: str, number: int) -> bool:
        """Tell whether all tuning trials of a round failed, and at least one of them diverged."""
        if not self.config.tuned_in_rounds or number == 0:  # a candidate without a point in the first round stops
            return False
        found = [self.outcomes.get(RunKey(TUNE, name, index, number)) for index in range(self.trials)]
        statuses = [None if o is None else o["status"] for o in found]
        return set(statuses) <= {DIVERGED, CRASHED} and DIVERGED in statuses

    def block_means(self, name: str) -> list[float]:
        """Return a candidate's mean score of each round in which all its runs have one."""
        row = self.all_scores.means[self.config.names.index(name)]
        return [float(v) for v in (row if self.config.larger_is_better else -row)[np.isfinite(row)]]

    # -- decisions -----------------------------------------------------------------------------------------------------

    @cached_property
    def compared(self) -> list[str]:
        """Candidates with a score in at least two rounds; only these are compared, by the rounds that they share."""
        return [name for name in self.config.names if len(self.block_means(name)) > 1]

    @cached_property
    def round_scores(self) -> RoundScores:
        """Scores of the compared candidates by round."""
        rows = [self.config.names.index(name) for name in self.compared]
        return RoundScores(self.compared, self.all_scores.runs[rows])

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
        means = [abs(float(np.mean(values))) for n in self._baseline_first() if (values := self.block_means(n))]
        return RELATIVE_DELTA * means[0] if means else 0.0

    def _baseline_first(self) -> list[str]:
        return [self.config.baseline, *self.compared]

    @cached_property
    def decisions(self) -> Decisions | None:
        """The decisions on all compared pairs; `None` if there are fewer than two candidates."""
        if len(self.compared) < 2:
            return None
        most = max(self.seeds, self.rounds)
        found = self.round_scores
        return decide(found.means, most, self.delta, ALPHA, resolution(found.runs), runs=found.runs)

    def going_on(self) -> list[str]:
        """List the candidates that need further rounds."""
        if self.rounds < LEAST:
            return self.progress.scored()
        if self.decisions is None:
            return []
        return [name for name, active in zip(self.compared, self.decisions.active.tolist(), strict=True) if active]
