"""The rounds of a study: which candidates go on after each look, and which runs come next."""

from collections.abc import Mapping

from descent.studies.running.decisions import RoundDecisions
from descent.studies.running.planner import Plan
from descent.studies.running.search import Point
from descent.studies.running.stages import FINAL, PILOT, Progress, RunKey
from descent.studies.statistics.group_sequential import looks


class Rounds:
    """Replay the rounds that are finished, and list the runs that come next.

    The runs up to the next look can run at the same time. After the look, the candidates that are decided stop.

    Args:
        progress: The finished runs.
        defaults: Each candidate's own values of the tuned keys.
        plan: Trials of a tuning, and the largest number of rounds.
        decided: Who goes on after each finished look, as found for earlier runs of this study; it is added to. A
            finished look never changes, and deciding it takes longer than a small run.
    """

    def __init__(
        self,
        progress: Progress,
        defaults: Mapping[str, Point],
        plan: Plan,
        decided: dict[int, list[str]] | None = None,
    ) -> None:
        self.progress, self.defaults, self.plan = progress, defaults, plan
        self.decided = {} if decided is None else decided

    def next_runs(self, end: int) -> list[RunKey] | None:
        """Return the runs up to the next look; `None` when the study is complete.

        Args:
            end: The number of rounds after which the study ends in any case.
        """
        names, done = list(self.progress.config.names), 0
        for look in [*[n for n in looks(self.plan.most) if n < end], end]:
            runs = [run for number in range(done, look) for run in self._runs(number, names)]
            if not self.progress.complete(runs):
                return runs
            names, done = self.going_on(look), look
            if not names:
                break
        return None

    def planned(self) -> list[RunKey]:
        """List all runs of the study if no further candidate stops."""
        names, done, found = list(self.progress.config.names), 0, list[RunKey]()
        for look in looks(self.plan.most) or [self.plan.most]:
            runs = [run for number in range(done, look) for run in self._runs(number, names)]
            found += runs
            if self.progress.complete(runs):
                names = self.going_on(look)
            done = look
        return found

    def _runs(self, number: int, names: list[str]) -> list[RunKey]:
        return self.progress.round_runs(number, self.plan.trials, names)

    def going_on(self, rounds: int) -> list[str]:
        """List the candidates that need further rounds after the first ones, in the order of the config."""
        if rounds not in self.decided:
            self.decided[rounds] = self._decide(rounds)
        return self.decided[rounds]

    def _decide(self, rounds: int) -> list[str]:
        limit = rounds * self.progress.config.final_runs
        outcomes = {
            text: outcome
            for text, outcome in self.progress.outcomes.items()
            if (key := RunKey.parse(text)).stage != FINAL or key.index < limit
        }
        config, plan = self.progress.config, self.plan
        return RoundDecisions(config, outcomes, self.defaults, plan.trials, plan.most).going_on()


def round_of(key: RunKey, final_runs: int) -> int:
    """Return the number of a run's round; −1 for the runs of the pilot."""
    if key.stage == FINAL:
        return key.index // final_runs
    return -1 if key.stage == PILOT or (key.index, key.round) == (0, 0) else key.round


def rounds_begun(progress: Progress) -> int:
    """Count the rounds of which a run is finished; those of the pilot do not count."""
    final_runs = progress.config.final_runs
    return max((round_of(RunKey.parse(text), final_runs) + 1 for text in progress.outcomes), default=0)


def left_of(planned: list[RunKey], progress: Progress, rounds: int) -> list[RunKey]:
    """List the runs that are left of a number of rounds."""
    final_runs = progress.config.final_runs
    return [run for run in planned if round_of(run, final_runs) < rounds and str(run) not in progress.outcomes]
