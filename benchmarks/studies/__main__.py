"""Errors, power and cost of `descent compare` on whole simulated studies, tuning included.

    python -m benchmarks.studies [--count 2000] [--rounds 12] [--out FOLDER]

All candidates are equal: the same synthetic response to the learning rate (`surface.py`), each tuned with noise of its
own, so that tunings choose different rates. The columns:

- `error`: share of studies that call any difference, by the sequential method with a tuning in every round. It should
  be at most 5 %.
- `error_once`: the same for one tuning, 8 seeds, Student's paired t-test and Holm's correction, which is how studies
  were judged before.
- `equal_wrong`: share that calls a pair practically equal whose true difference is δ, here 2.5 standard deviations.
- `joint`: share of studies in which all intervals of the sequential method contain the true difference.
- `settings`: share of intervals of the chosen settings (95 % for one pair) that contain the true difference of these
  settings, after all rounds.
- `limit_power`: share of the pairs of the best candidate that are decided if it is ahead by the smallest detectable
  difference that the planner states for the true spread; it should be at least 80 %. `fixed`: rounds of a fixed design
  (paired t-tests with Holm's correction) that has the same power there.
- `power`: the same if it is ahead by two standard deviations of the difference per round; `rounds`: mean rounds per
  candidate then, to be compared with `fixed`.
- `tie_rounds`: mean rounds per candidate if all are equal.
"""

from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.common.command_line import RESULTS, parser, row_line, write_csv
from benchmarks.studies.methods import any_found, best_found, fixed, sequential
from benchmarks.studies.surface import NOISES, Floats, Noise, studies
from descent.studies.statistics.intervals import fixed_settings_interval
from descent.studies.statistics.power import sequential_limit
from descent.studies.statistics.sequential_test import EQUAL, decide

LONGEST = 30
"""Rounds that the fixed design may take to reach the same power."""


class Row(NamedTuple):
    """Results of one kind of noise and one number of candidates."""

    noise: str
    candidates: int
    error: float
    error_once: float
    equal_wrong: float
    joint: float
    settings: float
    limit_power: float
    fixed: float
    power: float
    rounds: float
    tie_rounds: float


def simulate(noise: Noise, candidates: int, count: int, rounds: int, seed: int = 0) -> Row:
    """Simulate all studies of one kind."""
    found = studies(count, candidates, LONGEST, noise, seed)
    scores = found.final
    spread = spread_of(scores.mean(axis=-1))
    null = sequential(scores, rounds)
    ahead = scores.copy()
    ahead[:, 0] += 2 * spread
    best = sequential(ahead, rounds)
    limit = scores.copy()
    limit[:, 0] += sequential_limit(spread, rounds, candidates * (candidates - 1) // 2)
    at_limit = best_found(sequential(limit, rounds), candidates)
    return Row(
        noise,
        candidates,
        any_found(null),
        any_found(fixed(found.once, 8)),
        equal_wrong(scores, rounds, 2.5 * spread),
        null.joint,
        settings_coverage(found.final[:, :, :rounds], found.truth[:, :, :rounds]),
        at_limit,
        same_power(limit.mean(axis=-1), at_limit, candidates),
        best_found(best, candidates),
        best.rounds,
        null.rounds,
    )


def spread_of(scores: Floats) -> float:
    """Return the standard deviation of the difference of two candidates in a round, the mean over the pairs."""
    pairs = combinations(range(scores.shape[1]), 2)
    return float(np.mean([(scores[:, i] - scores[:, j]).std() for i, j in pairs]))


def equal_wrong(scores: Floats, rounds: int, delta: float) -> float:
    """Return the share of studies that call candidate 0 practically equal to another, at a true difference of δ."""
    moved = scores[:, :, :rounds].copy()
    moved[:, 0] += delta
    decision = decide(moved.mean(axis=-1), rounds, delta, stop=True, runs=moved)
    first = [k for k, pair in enumerate(decision.pairs) if pair[0] == 0]
    return float((decision.decision[:, first] == EQUAL).any(axis=-1).mean())


def settings_coverage(final: Floats, truth: Floats) -> float:
    """Return the share of the intervals of candidate 0 − 1 with the chosen settings that contain the true value."""
    inside = []
    for runs, means in zip(final, truth, strict=True):
        interval = fixed_settings_interval(runs[0], runs[1])
        assert interval is not None
        inside.append(interval.low <= (means[0] - means[1]).mean() <= interval.high)
    return float(np.mean(inside))


def same_power(scores: Floats, power: float, candidates: int) -> float:
    """Return the fewest rounds with which a fixed design has a power; NaN if the longest one has not."""
    for rounds in range(3, LONGEST + 1):
        if best_found(fixed(scores, rounds), candidates) >= power:
            return float(rounds)
    return float("nan")


def main() -> None:
    """Run the simulations and write the table."""
    options = parser(__doc__, rounds=12, out=RESULTS / "studies")
    options.add_argument("--count", type=int, default=2000, help="simulated studies of each kind (default 2000)")
    options.add_argument("--candidates", type=int, nargs="+", default=[2, 3, 6, 10])
    chosen = options.parse_args()
    rows = []
    for noise in NOISES:
        for candidates in chosen.candidates:
            rows.append(simulate(noise, candidates, chosen.count, chosen.rounds))
            print(row_line(rows[-1]), flush=True)
    write_csv(rows, Path(chosen.out) / "simulated.csv", machine=False)


if __name__ == "__main__":
    main()
