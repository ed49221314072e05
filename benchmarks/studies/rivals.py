"""Errors, power and cost of other ways to decide, on the scores of the same simulated studies.

    pip install --no-deps adastop
    python -m benchmarks.studies.rivals [--count 1000] [--adastop 250] [--rounds 12] [--out FOLDER]

The studies are those of `python -m benchmarks.studies`: the score of a round is the mean of two final runs with the
settings that this round's tuning chose. The columns:

- `error`: share of studies of equal candidates that call any difference.
- `error_once`: the same if there is one tuning for all rounds, as the other tools are usually used.
- `power`: share of the pairs of the best candidate that are decided if it is ahead by two standard deviations of the
  difference per round; `rounds`: mean rounds per candidate then.
- `tie_rounds`: mean rounds per candidate if all are equal.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.common.command_line import RESULTS, parser, row_line, write_csv
from benchmarks.studies.__main__ import spread_of
from benchmarks.studies.methods import Found, any_found, best_found, fixed, sequential
from benchmarks.studies.races import adastop, adastop_installed, best_value, race
from benchmarks.studies.surface import Floats, Noise, Studies, studies

METHODS: dict[str, Callable[[Floats, int], Found]] = {
    "descent compare": sequential,
    "fixed rounds, paired t, Holm": fixed,
    "AdaStop": adastop,
    "race of irace, Friedman": partial(race, kind="friedman"),
    "race of irace, t": partial(race, kind="t"),
    "best value of Optuna": best_value,
}
KINDS: tuple[Noise, ...] = ("normal", "heavy", "bimodal")


class Row(NamedTuple):
    """Results of one method."""

    method: str
    noise: str
    candidates: int
    studies: int
    error: float
    error_once: float
    power: float
    rounds: float
    tie_rounds: float


def measure(method: str, noise: Noise, candidates: int, found: Studies, rounds: int) -> Row:
    """Let a method decide studies of equal candidates, and the same with the first one moved ahead."""

    def decide(scores: Floats) -> Found:
        return METHODS[method](scores[:, :, :rounds], rounds)

    scores = found.final.mean(axis=-1)
    # a search takes the best of all validation scores; it has no final runs
    judged = found.tuned if METHODS[method] is best_value else found.final if METHODS[method] is sequential else scores
    ahead = judged.copy()
    ahead[:, 0] += 2 * spread_of(scores)
    null, best = decide(judged), decide(ahead)
    once = null if METHODS[method] is best_value else decide(found.once)
    return Row(
        method,
        noise,
        candidates,
        len(judged),
        any_found(null),
        any_found(once),
        best_found(best, candidates),
        best.rounds,
        null.rounds,
    )


def main() -> None:
    """Run the comparison and write the table."""
    options = parser(__doc__, rounds=12, out=RESULTS / "studies")
    options.add_argument("--count", type=int, default=1000, help="simulated studies of each kind (default 1000)")
    options.add_argument("--adastop", type=int, default=250, help="of which AdaStop decides so many (default 250)")
    options.add_argument("--candidates", type=int, nargs="+", default=[2, 3])
    chosen = options.parse_args()
    if not adastop_installed():
        options.error("AdaStop is not installed: pip install --no-deps adastop")
    rows = []
    for noise in KINDS:
        for candidates in chosen.candidates:
            found = studies(chosen.count, candidates, chosen.rounds, noise, seed=1)
            for method in METHODS:
                count = chosen.adastop if METHODS[method] is adastop else chosen.count
                part = Studies(*(each[:count] for each in found))
                rows.append(measure(method, noise, candidates, part, chosen.rounds))
                print(row_line(rows[-1]), flush=True)
    write_csv(rows, Path(chosen.out) / "rivals.csv", machine=False)


if __name__ == "__main__":
    main()
