"""Which runs a study has, in which order, and with which values: a pure function of what is finished."""

from collections.abc import Mapping
from dataclasses import dataclass

from descent.studies.running.one_run import DONE, Outcome
from descent.studies.running.search import Point, best_at_edge, best_point, trial_point
from descent.studies.study_config import StudyConfig

TUNE, PILOT, RERUN = "tune", "pilot", "rerun"


@dataclass(frozen=True)
class RunKey:
    """A run of the study: stage, candidate, number within both."""

    stage: str
    candidate: str
    index: int

    def __str__(self) -> str:
        return f"{self.stage}/{self.index}/{self.candidate}"

    @classmethod
    def parse(cls, text: str) -> "RunKey":
        """The key that `str` wrote."""
        stage, index, candidate = text.split("/", 2)
        return cls(stage, candidate, int(index))


@dataclass(frozen=True)
class Size:
    """How many runs each candidate gets."""

    trials: int
    seeds: int


class Progress:
    """What is finished of a study, and what may be run next.

    Pilot: each candidate's default with the tuning seed (its first trial) and with others. Then the trials, then the
    re-runs; in each stage the candidates take turns, so that whatever else the machine does hits all of them alike.

    Args:
        config: The study.
        outcomes: Of the finished runs, by key.
        defaults: Each candidate's own values of what is tuned.
    """

    def __init__(self, config: StudyConfig, outcomes: Mapping[str, Outcome], defaults: Mapping[str, Point]) -> None:
        self.config, self.outcomes, self.defaults = config, outcomes, defaults

    # -- runs ----------------------------------------------------------------------------------------------------------

    def pilot(self) -> list[RunKey]:
        """Runs by which the planner measures times and chance."""
        names = self.config.names
        first = [RunKey(TUNE, name, 0) for name in names]
        return first + [RunKey(PILOT, name, index) for index in range(self.pilot_seeds()) for name in names]

    def pilot_seeds(self) -> int:
        """More seeds for few candidates: at least three degrees of freedom, (candidates − 1) · seeds."""
        return -(-3 // (len(self.config.names) - 1))

    def tuning(self, trials: int) -> list[RunKey]:
        """All tuning runs."""
        return [RunKey(TUNE, name, index) for index in range(trials) for name in self.config.names]

    def reruns(self, seeds: int) -> list[RunKey]:
        """Re-runs of those candidates of which at least one tuning trial came to a score."""
        alive = [name for name in self.config.names if self.chosen(name) is not None]
        return [RunKey(RERUN, name, index) for index in range(seeds) for name in alive]

    def missing(self, runs: list[RunKey]) -> list[RunKey]:
        """Those that are not finished, and whose values are known by now."""
        return [key for key in runs if str(key) not in self.outcomes and self._known(key)]

    def complete(self, runs: list[RunKey]) -> bool:
        """Whether all of them are finished."""
        return all(str(key) in self.outcomes for key in runs)

    def _known(self, key: RunKey) -> bool:
        before = [RunKey(TUNE, key.candidate, index) for index in range(key.index)]
        return key.stage != TUNE or key.index == 0 or self.complete(before)

    # -- values --------------------------------------------------------------------------------------------------------

    def past(self, candidate: str, limit: int | None = None) -> list[tuple[Point, float | None]]:
        """Points and scores of a candidate's finished tuning trials, in order."""
        found = []
        index = 0
        while limit is None or index < limit:
            outcome = self.outcomes.get(str(RunKey(TUNE, candidate, index)))
            if outcome is None:
                break
            found.append((outcome["point"], outcome["score"] if outcome["status"] == DONE else None))
            index += 1
        return found

    def chosen(self, candidate: str) -> Point | None:
        """The best point of the tuning by validation; `None` where every trial crashed or diverged."""
        return best_point(self.past(candidate), self.config.larger_is_better)

    def edge(self, candidate: str) -> list[str]:
        """Tuned keys whose best value is still the outermost that was tried."""
        return sorted(best_at_edge(self.past(candidate), self.config.larger_is_better))

    def point(self, key: RunKey, trials: int) -> Point:
        """Values of a run."""
        if key.stage == RERUN:
            chosen = self.chosen(key.candidate)
            assert chosen is not None
            return chosen
        if key.stage == PILOT:
            return dict(self.defaults[key.candidate])
        return trial_point(
            key.index,
            trials,
            self.defaults[key.candidate],
            self.config.search_of(key.candidate),
            self.past(key.candidate, key.index),
            self.config.larger_is_better,
        )

    def seed(self, key: RunKey) -> int:
        """Seed of a run: one for all tuning, another for the pilot, fresh ones for the re-runs, the same for all."""
        base = 10_000 * self.config.seed
        return base + {TUNE: 0, PILOT: 1 + key.index, RERUN: 100 + key.index}[key.stage]
