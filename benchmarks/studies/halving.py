"""Does it pay to stop tuning trials early? Real tunings of five trials, replayed with and without early stopping.

    python -m benchmarks.studies.halving [--schedule cosine] [--count 300] [--out FOLDER]

Each tuning trains a small network on the digits with five learning rates: the default and four random ones within a
factor of ten, as a round of `descent compare` does. The replay stops a trial after a third or half of its epochs if
its score is more than a guard below the best score that an earlier trial of the same tuning had at that epoch. The
columns:

- `saved`: share of a round's epochs that are not run; a round has five trials and two final runs. `most`: the same if
  every trial but the best one were stopped.
- `missed`: share of tunings that choose another rate. `lost`: by how much the mean test accuracy of the chosen trials
  falls, with the 95 % interval.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.common.command_line import RESULTS, parser, row_line, write_csv
from benchmarks.studies.plain import Trained, train
from descent.studies.running.recorder import StopRule
from descent.studies.statistics.intervals import t_interval

TRIALS, FINAL_RUNS, DEFAULT, FACTOR = 5, 2, 0.02, 10.0
GUARDS = (0.0, 0.02, 0.05, 0.1)


class Row(NamedTuple):
    """What a rule saves and costs."""

    schedule: str
    stop_at: float
    guard: float
    saved: float
    most: float
    missed: float
    lost: float
    lost_low: float
    lost_high: float


def tuning(number: int, epochs: int, cosine: bool) -> list[Trained]:
    """Run all trials of a tuning to their end."""
    points = np.random.default_rng(number).uniform(-1, 1, TRIALS)
    points[0] = 0.0
    return [train(DEFAULT * FACTOR**point, epochs, number, split=number, cosine=cosine) for point in points]


def replay(trials: Sequence[Trained], after: int, guard: float) -> tuple[int, list[int]]:
    """Return the trial that is chosen with early stopping, and the epochs that each trial ran."""
    best, ran = -math.inf, []
    for trial in trials:
        stopped = StopRule(after, best - guard, True).stops(trial.scores[:after])
        ran.append(after if stopped else len(trial.scores))
        best = max(best, trial.scores[after - 1])
    finished = [k for k, trial in enumerate(trials) if ran[k] == len(trial.scores)]
    return max(finished, key=lambda k: trials[k].scores[-1]), ran


def measure(tunings: Sequence[Sequence[Trained]], schedule: str, stop_at: float, guard: float) -> Row:
    """Compare a rule with running every trial to its end."""
    epochs = len(tunings[0][0].scores)
    after = round(stop_at * epochs)
    whole = (TRIALS + FINAL_RUNS) * epochs
    saved, missed, lost = [], [], []
    for trials in tunings:
        chosen, ran = replay(trials, after, guard)
        full, _ = replay(trials, epochs, math.inf)
        saved.append((TRIALS * epochs - sum(ran)) / whole)
        missed.append(chosen != full)
        lost.append(trials[full].test - trials[chosen].test)
    mean, low, high = t_interval(lost)
    most = (TRIALS - 1) * (epochs - after) / whole
    values = (np.mean(saved), most, np.mean(missed), mean, low, high)
    return Row(schedule, stop_at, guard, *(round(float(value), 4) for value in values))


def main() -> None:
    """Run the tunings and write the table."""
    options = parser(__doc__, out=RESULTS / "studies")
    options.add_argument("--count", type=int, default=300, help="tunings (default 300)")
    options.add_argument("--schedule", choices=["constant", "cosine"], default="constant")
    options.add_argument("--epochs", type=int, default=6)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    tunings = [tuning(number, chosen.epochs, chosen.schedule == "cosine") for number in range(chosen.count)]
    rows = []
    for stop_at in (1 / 3, 1 / 2):
        for guard in GUARDS:
            rows.append(measure(tunings, chosen.schedule, round(stop_at, 2), guard))
            print(row_line(rows[-1], 4), flush=True)
    write_csv(rows, Path(chosen.out) / f"halving_{chosen.schedule}.csv", machine=False)


if __name__ == "__main__":
    main()
