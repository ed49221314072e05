"""Which runs a study consists of, in which order, with which values and seeds: a pure function of the finished runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from descent.studies.running.one_run import DONE, Outcome
from descent.studies.running.search import Point, best_at_edge, best_point, trial_point
from descent.studies.study_config import StudyConfig

TUNE, PILOT, FINAL = "tune", "pilot", "rerun"
"""Stages of a study: tuning trials, pilot runs, final runs; named as in its database and in `runs.csv`."""


@dataclass(frozen=True)
class RunKey:
    """Identify a run of a study by its stage, its candidate and its number among the runs of both."""

    stage: str
    candidate: str
    index: int

    def __str__(self) -> str:
        return f"{self.stage}/{self.index}/{self.candidate}"

    @classmethod
    def parse(cls, text: str) -> "RunKey":
        """Read the key that `str` wrote."""
        stage, index, candidate = text.split("/", 2)
        return cls(stage, candidate, int(index))


class Progress:
    """Tell which runs of a study are finished, and which can run next.

    The pilot comes first: for each candidate tuning trial 0, which is its default, and the default again with other
    seeds. Then come the other tuning trials, then the final runs. Within a stage the candidates alternate, so that
    other load on the machine affects all of them alike.

    Args:
        config: The study.
        outcomes: Outcomes of the finished runs, by key.
        defaults: Each candidate's own values of the tuned keys.
    """

    def __init__(self, config: StudyConfig, outcomes: Mapping[str, Outcome], defaults: Mapping[str, Point]) -> None:
        self.config, self.outcomes, self.defaults = config, outcomes, defaults

    # -- runs ----------------------------------------------------------------------------------------------------------

    def pilot(self) -> list[RunKey]:
        """List the runs from which the planner estimates seconds per run and spread."""
        names = self.config.names
        seeds = -(-3 // (len(names) - 1))  # at least 3 degrees of freedom, (candidates − 1) · seeds
        return self.tuning(1) + [RunKey(PILOT, name, index) for index in range(seeds) for name in names]

    def tuning(self, trials: int) -> list[RunKey]:
        """List all tuning trials."""
        return [RunKey(TUNE, name, index) for index in range(trials) for name in self.config.names]

    def final_runs(self, seeds: int) -> list[RunKey]:
        """List the final runs, of the candidates that have a score in at least one tuning trial."""
        scored = [name for name in self.config.names if self.best_point(name) is not None]
        return [RunKey(FINAL, name, index) for index in range(seeds) for name in scored]

    def ready(self, runs: list[RunKey]) -> list[RunKey]:
        """Select the runs that are not finished and whose values are known: a trial depends on those before it."""
        return [key for key in runs if str(key) not in self.outcomes and self._is_known(key)]

    def complete(self, runs: list[RunKey]) -> bool:
        """Tell whether all these runs are finished."""
        return all(str(key) in self.outcomes for key in runs)

    def _is_known(self, key: RunKey) -> bool:
        before = [RunKey(TUNE, key.candidate, index) for index in range(key.index)]
        return key.stage != TUNE or self.complete(before)

    # -- values --------------------------------------------------------------------------------------------------------

    def tuning_history(self, candidate: str, limit: int | None = None) -> list[tuple[Point, float | None]]:
        """List points and scores of a candidate's first finished tuning trials; the score of a failed one is `None`."""
        found: list[tuple[Point, float | None]] = []
        while limit is None or len(found) < limit:
            outcome = self.outcomes.get(str(RunKey(TUNE, candidate, len(found))))
            if outcome is None:
                break
            found.append((outcome["point"], outcome["score"] if outcome["status"] == DONE else None))
        return found

    def best_point(self, candidate: str) -> Point | None:
        """Return the tuned values with the best validation score; `None` if every trial crashed or diverged."""
        return best_point(self.tuning_history(candidate), self.config.larger_is_better)

    def keys_at_edge(self, candidate: str) -> list[str]:
        """List the tuned keys whose best value is still at the edge of the values that were tried."""
        return sorted(best_at_edge(self.tuning_history(candidate), self.config.larger_is_better))

    def point(self, key: RunKey, trials: int) -> Point:
        """Return the values of the tuned keys for a run."""
        if key.stage == FINAL:
            best = self.best_point(key.candidate)
            assert best is not None
            return best
        if key.stage == PILOT:
            return dict(self.defaults[key.candidate])
        return trial_point(
            key.index,
            trials,
            self.defaults[key.candidate],
            self.config.search_of(key.candidate),
            self.tuning_history(key.candidate, key.index),
            self.config.larger_is_better,
        )

    def seed(self, key: RunKey) -> int:
        """Return a run's seed: one for all tuning, others for the pilot, new ones for the final runs.

        Seeds do not depend on the candidate, so final runs with the same number are pairs.
        """
        base = 10_000 * self.config.seed
        return base + {TUNE: 0, PILOT: 1 + key.index, FINAL: 100 + key.index}[key.stage]
