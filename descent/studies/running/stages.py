"""Which runs a study consists of, in which order, with which values and seeds: a pure function of the finished runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from descent.studies.running.one_run import DONE, Outcome
from descent.studies.running.search import Point, best_at_edge, best_point, trial_point
from descent.studies.study_config import StudyConfig

TUNE, PILOT, FINAL = "tune", "pilot", "rerun"
"""Stages of a study: tuning trials, pilot runs, final runs; named as in its database and in `runs.csv`."""


@dataclass(frozen=True)
class RunKey:
    """Identify a run of a study by its stage, its candidate and its number among the runs of both.

    `round` numbers the tunings of a study; it is 0 for pilot runs and final runs, whose number tells their round.
    """

    stage: str
    candidate: str
    index: int
    round: int = 0

    def __str__(self) -> str:
        stage = f"{self.stage}.{self.round}" if self.round else self.stage
        return f"{stage}/{self.index}/{self.candidate}"

    def trial(self, index: int) -> "RunKey":
        """Return another trial of the same tuning."""
        return RunKey(TUNE, self.candidate, index, self.round)

    @classmethod
    def parse(cls, text: str) -> "RunKey":
        """Read the key that `str` wrote."""
        stage, index, candidate = text.split("/", 2)
        stage, _, number = stage.partition(".")
        return cls(stage, candidate, int(index), int(number or 0))


class Progress:
    """Tell which runs of a study are finished, and which can run next.

    The pilot comes first: for each candidate tuning trial 0, which is its default, and the default again with other
    seeds. Then come the rounds, each with a tuning of its own and its final runs; a study that tunes once has all its
    tuning trials in round 0. Within a round the candidates alternate, so that other load on the machine affects all of
    them alike.

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

    def tuning(self, trials: int, number: int = 0, names: Iterable[str] | None = None) -> list[RunKey]:
        """List all trials of one tuning."""
        names = self.config.names if names is None else list(names)
        return [RunKey(TUNE, name, index, number) for index in range(trials) for name in names]

    def round_runs(self, number: int, trials: int, names: Iterable[str]) -> list[RunKey]:
        """List the runs of a round: its tuning, if it has one, and its final runs.

        A candidate without a score in the tuning has no final runs.
        """
        names = list(names)
        tuning = self.tuning(trials, number, names) if self.config.tuned_in_rounds or number == 0 else []
        repeats = range(number * self.config.final_runs, (number + 1) * self.config.final_runs)
        source = self.config.tuning_of(number)
        final = [n for n in names if self.best_point(n, source) is not None or not self._tuned(n, source, trials)]
        return tuning + [RunKey(FINAL, name, index) for index in repeats for name in final]

    def scored(self) -> list[str]:
        """List the candidates that have a score in at least one trial of the first tuning."""
        return [name for name in self.config.names if self.best_point(name) is not None]

    def ready(self, runs: list[RunKey], trials: int) -> list[RunKey]:
        """Select the runs that are not finished and whose values are known: they depend on the trials before them."""
        return [key for key in runs if str(key) not in self.outcomes and self._is_known(key, trials)]

    def complete(self, runs: list[RunKey]) -> bool:
        """Tell whether all these runs are finished."""
        return all(str(key) in self.outcomes for key in runs)

    def _is_known(self, key: RunKey, trials: int) -> bool:
        if key.stage == TUNE:
            return self._tuned(key.candidate, key.round, key.index)
        return key.stage == PILOT or self._tuned(key.candidate, self._source(key), trials)

    def _tuned(self, candidate: str, number: int, trials: int) -> bool:
        return self.complete([RunKey(TUNE, candidate, index, number) for index in range(trials)])

    def _source(self, key: RunKey) -> int:
        """Return the tuning that a final run takes its values from."""
        return self.config.tuning_of(key.index // self.config.final_runs)

    # -- values --------------------------------------------------------------------------------------------------------

    def tuning_history(
        self, candidate: str, limit: int | None = None, number: int = 0
    ) -> list[tuple[Point, float | None]]:
        """List points and scores of the first finished trials of a tuning; the score of a failed one is `None`."""
        found: list[tuple[Point, float | None]] = []
        while limit is None or len(found) < limit:
            outcome = self.outcomes.get(str(RunKey(TUNE, candidate, len(found), number)))
            if outcome is None:
                break
            point = outcome.get("point") or self.defaults[candidate]  # the process of the run died
            found.append((point, outcome["score"] if outcome["status"] == DONE else None))
        return found

    def histories(self, candidate: str) -> list[list[tuple[Point, float | None]]]:
        """List points and scores of all tunings of a candidate."""
        found: list[list[tuple[Point, float | None]]] = []
        while history := self.tuning_history(candidate, number=len(found)):
            found.append(history)
        return found

    def best_point(self, candidate: str, number: int = 0) -> Point | None:
        """Return the values that a tuning chose by validation score; `None` if every trial crashed or diverged."""
        return best_point(self.tuning_history(candidate, number=number), self.config.larger_is_better)

    def points(self, candidate: str) -> list[Point]:
        """List what each tuning of a candidate chose."""
        found = (best_point(history, self.config.larger_is_better) for history in self.histories(candidate))
        return [point for point in found if point is not None]

    def keys_at_edge(self, candidate: str) -> list[str]:
        """List the tuned keys whose best value is at the edge of the values tried, in at least half of the tunings."""
        histories = self.histories(candidate)
        edges = [key for history in histories for key in best_at_edge(history, self.config.larger_is_better)]
        return sorted(key for key in set(edges) if 2 * edges.count(key) >= len(histories))

    def point(self, key: RunKey, trials: int) -> Point:
        """Return the values of the tuned keys for a run."""
        if key.stage == FINAL:
            best = self.best_point(key.candidate, self._source(key))
            assert best is not None
            return best
        if key.stage == PILOT:
            return dict(self.defaults[key.candidate])
        return trial_point(
            key.index,
            trials,
            self.defaults[key.candidate],
            self.config.search_of(key.candidate),
            self.tuning_history(key.candidate, key.index, key.round),
            self.config.larger_is_better,
            key.round,
        )

    def seed(self, key: RunKey) -> int:
        """Return a run's seed: one for each tuning, others for the pilot, new ones for the final runs.

        Seeds do not depend on the candidate, so final runs with the same number are pairs.
        """
        base = 10_000 * self.config.seed
        tuning = 5_000 + key.round if key.round else 0
        return base + {TUNE: tuning, PILOT: 1 + key.index, FINAL: 100 + key.index}[key.stage]

    def split(self, key: RunKey) -> int:
        """Return what a run adds to the seed of the validation split: the number of its round."""
        return {TUNE: key.round, PILOT: 0, FINAL: key.index // self.config.final_runs}[key.stage]
