"""What is said of a pair of candidates: mean difference, interval, decision, chance of the better run."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from descent.studies.running.decisions import RoundScores
from descent.studies.statistics.counts import Proportion, superiority
from descent.studies.statistics.intervals import Interval, fixed_settings_interval
from descent.studies.statistics.sequential_test import BETTER, EQUAL, UNDECIDED, WORSE, Decisions

WORDS = {BETTER: "better", WORSE: "worse", EQUAL: "equal", UNDECIDED: "undecided"}
OPPOSITE = {"better": "worse", "worse": "better"}


class Pair(NamedTuple):
    """One candidate against another."""

    name: str
    other: str
    mean: float
    """Mean of the differences per round, `name` minus `other`, in the metric's unit."""
    low: float
    high: float
    """Repeated confidence interval: those of all pairs and looks hold together with 95 %."""
    decision: str
    """`better`, `worse`, `equal` (practically) or `undecided`; of `name`."""
    without_failed: bool
    """Rounds in which a run diverged or collapsed are left out of mean and interval."""
    rounds: int
    """Rounds in which both have a score or diverged."""
    chance: Proportion
    """Probability that a run of `name` is better than one of `other`, with the 95 % interval of this pair alone."""
    settings: Interval | None = None
    """Mean difference of the settings that the tunings of this study chose, with the 95 % interval of this pair alone:
    the variation of tuning is not in it. `None` if rounds have a single final run."""

    def reversed(self) -> "Pair":
        """Return the same pair from the side of `other`."""
        chance = Proportion(1 - self.chance.share, 1 - self.chance.high, 1 - self.chance.low)
        decision = OPPOSITE.get(self.decision, self.decision)
        settings = None if self.settings is None else _negative(self.settings)
        return Pair(
            self.other,
            self.name,
            -self.mean,
            -self.high,
            -self.low,
            decision,
            self.without_failed,
            self.rounds,
            chance,
            settings,
        )


Pairs = Mapping[tuple[str, str], Pair]
"""Every pair in both orders, by the names of its candidates."""


def pairs_of(scores: RoundScores, decisions: Decisions, larger_is_better: bool) -> dict[tuple[str, str], Pair]:
    """Name what was decided, for both orders of each pair."""
    found = {}
    for k, (i, j) in enumerate(decisions.pairs):
        low, high, mean = (float(side[k]) for side in (decisions.low, decisions.high, decisions.mean))
        if not larger_is_better:
            low, high, mean = -high, -low, -mean
        settings = fixed_settings_interval(scores.runs[i], scores.runs[j])
        pair = Pair(
            scores.names[i],
            scores.names[j],
            float(np.clip(mean, low, high)),
            low,
            high,
            WORDS[int(decisions.decision[k])],
            bool(decisions.without_failed[k]),
            int(decisions.rounds[k]),
            superiority(scores.singles[i], scores.singles[j]),
            settings if settings is None or larger_is_better else _negative(settings),
        )
        found[pair.name, pair.other], found[pair.other, pair.name] = pair, pair.reversed()
    return found


def _negative(interval: Interval) -> Interval:
    return Interval(-interval.mean, -interval.high, -interval.low)


def tie_letters(names: Sequence[str], pairs: Pairs) -> dict[str, str]:
    """Assign letters (a compact letter display): two candidates share one exactly if neither was found better.

    Args:
        names: The candidates, the best first.
        pairs: Every pair of them.

    Reference:
        H.-P. Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons", 2004.
    """
    groups: list[set[str]] = [set(names)]
    for (name, other), pair in pairs.items():
        if pair.decision != "better":
            continue
        split: list[set[str]] = []
        for group in groups:
            split += [group - {name}, group - {other}] if {name, other} <= group else [group]
        groups = [g for i, g in enumerate(split) if not any(g < o or (g == o and k < i) for k, o in enumerate(split))]
    place = {name: index for index, name in enumerate(names)}
    groups.sort(key=lambda group: sorted(place[name] for name in group))
    return {name: "".join(chr(ord("a") + i) for i, group in enumerate(groups) if name in group) for name in names}
