"""How often the method errs with the noise of real studies of equal candidates, by drawing studies from real rounds.

    python -m benchmarks.studies.resampled [--pools 5] [--count 4000] [--out FOLDER]

Rounds are independent and alike, so a study of 8 rounds is drawn from many real ones, with replacement. The rounds are
those of `benchmarks.studies.null --plain`: three equal candidates, each tuned with five trials and trained twice. Each
candidate's mean over all rounds is removed, and the candidates are exchanged at random within a round: then nothing
differs but noise, with its real skewness and tails. `null_rounds.csv` has the rounds, and is continued.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from benchmarks.common.command_line import RESULTS, parser, read_csv, write_csv
from benchmarks.studies.null import null_study, plain_run
from benchmarks.studies.surface import Floats
from descent.studies.running.decisions import RoundDecisions
from descent.studies.running.one_run import Outcome
from descent.studies.running.stages import Progress
from descent.studies.statistics.counts import resolution
from descent.studies.statistics.sequential_test import BETTER, WORSE, decide
from foundation.compat.lightning_messages import quiet

ROUNDS, TRIALS, EPOCHS, FIRST_SEED = 30, 5, 2, 100
"""Rounds of a pool, which takes some 17 seconds of one core; the seeds of pools are not those of the null studies."""


class Round(NamedTuple):
    """Test accuracies of one candidate's final runs in one round."""

    pool: int
    round: int
    candidate: str
    first: float
    second: float


def real_rounds(pool: int, rounds: int = ROUNDS) -> list[Round]:
    """Run the first rounds of a pool of equal candidates, without looks."""
    config = null_study(EPOCHS, TRIALS, ROUNDS, FIRST_SEED + pool)
    defaults = {name: config.defaults(name) for name in config.names}
    outcomes: dict[str, Outcome] = {}
    progress = Progress(config, outcomes, defaults)
    for number in range(rounds):
        while ready := progress.ready(progress.round_runs(number, TRIALS, config.names), TRIALS):
            for key in ready:
                outcomes[str(key)] = plain_run(progress, key, TRIALS, EPOCHS)
    scores = RoundDecisions(config, outcomes, defaults, TRIALS, ROUNDS).all_scores
    return [
        Round(pool, number, name, *map(float, runs))
        for name, of_name in zip(scores.names, scores.runs, strict=True)
        for number, runs in enumerate(of_name)
    ]


def as_array(rounds: list[Round]) -> Floats:
    """Return the scores `(candidates, rounds, 2)`."""
    names = sorted({each.candidate for each in rounds})
    return np.array([[(r.first, r.second) for r in rounds if r.candidate == name] for name in names])


def error(scores: Floats, most: int, count: int, seed: int = 0) -> float:
    """Return the share of drawn studies that call any difference.

    Args:
        scores: `(candidates, rounds, repeats)`, all finite.
        most: Rounds of a study.
        count: Number of studies.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    centred = scores - scores.mean(axis=(1, 2), keepdims=True)
    drawn = np.moveaxis(centred[:, rng.integers(scores.shape[1], size=(count, most))], 1, 0)
    order = rng.permuted(np.broadcast_to(np.arange(len(scores))[:, None], (count, len(scores), most)), axis=1)
    runs = np.take_along_axis(drawn, order[..., None], axis=1)
    found = decide(runs.mean(axis=-1), most, 0.0, step=resolution(scores), stop=True, runs=runs).decision
    return float(((found == BETTER) | (found == WORSE)).any(axis=-1).mean())


def main() -> None:
    """Run the rounds that are missing, and draw studies from them."""
    options = parser(__doc__, out=RESULTS / "studies")
    options.add_argument("--pools", type=int, default=5, help=f"times {ROUNDS} rounds (default 5)")
    options.add_argument("--count", type=int, default=4000, help="drawn studies (default 4000)")
    chosen = options.parse_args()
    quiet()
    torch.set_num_threads(1)
    file = Path(chosen.out) / "null_rounds.csv"
    rounds = read_csv(Round, file)
    for pool in range(len({each.pool for each in rounds}), chosen.pools):
        rounds += real_rounds(pool)
        write_csv(rounds, file, machine=False)
    scores = as_array(rounds)
    print(
        f"{scores.shape[1]} rounds: standard deviation {100 * scores.mean(axis=-1).std(axis=1).mean():.1f} points, "
        f"skewness {stats.skew(scores.mean(axis=-1), axis=1).mean():.1f}"
    )
    for most in (4, 8, 12):
        print(f"{most} rounds: {100 * error(scores, most, chosen.count):.1f} % of {chosen.count} call a difference")


if __name__ == "__main__":
    main()
