"""Real studies in which nothing differs: three equal optimizers on the digits, each tuned independently.

    python -m benchmarks.studies.null [--count 30] [--plain] [--epochs 2] [--rounds 8] [--out FOLDER]

The candidates have one config; only the random stream of their initialisation differs, and with it what their tunings
choose. A study that calls any of them better errs, which 5 % of studies may. By default each run is that of `descent
compare`: config, Lightning, validation and test. With `--plain` the same network is trained by a plain loop, ten times
faster; rounds, tuning, looks and verdict are those of `descent compare` in both cases.

The table has one row per study, and is continued if the command is stopped: columns of the numbers of pairs that were
called different (`better`), practically equal and undecided, rounds, runs, seconds, verdict.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.common.command_line import RESULTS, parser, read_csv, write_csv
from benchmarks.studies.plain import BATCH, MOMENTUM, VAL_SHARE, TinyNetwork, train
from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.verdict import verdict
from descent.studies.running.one_run import DIVERGED, DONE, Outcome, execute
from descent.studies.running.planner import Plan
from descent.studies.running.rounds import Rounds
from descent.studies.running.stages import FINAL, Progress, RunKey
from descent.studies.running.worker import order_of
from descent.studies.statistics.counts import proportion
from descent.studies.study_config import StudyConfig, read_study
from foundation.compat.lightning_messages import quiet

NAMES = ("A", "B", "C")
LR = 0.05

Run = Callable[[Progress, RunKey, int], Outcome]
"""Runs a run of a study, given the finished ones and the trials of a tuning."""


class Study(NamedTuple):
    """What one study found."""

    way: str
    epochs: int
    seed: int
    better: int
    equal: int
    undecided: int
    without_failed: int
    rounds: int
    runs: int
    seconds: float
    verdict: str


def null_study(epochs: int, trials: int, rounds: int, seed: int) -> StudyConfig:
    """Return the config of a study of equal candidates."""
    network = f"{TinyNetwork.__module__}.{TinyNetwork.__name__}"
    return read_study(
        {
            "name": "null",
            "experiment": "quickstart.yaml",
            "overrides": {
                "trainer": {"accelerator": "cpu", "max_epochs": epochs, "logger": False, "enable_model_summary": False},
                "data": {
                    "class_path": "datamodules.DigitsDataModule",
                    "init_args": {"batch_size": BATCH, "val_share": VAL_SHARE},
                },
                "model.scheduler": None,
                "model.optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": LR, "momentum": MOMENTUM}},
            },
            "candidates": {
                name: {"model.network": {"class_path": network, "init_args": {"stream": stream}}}
                for stream, name in enumerate(NAMES)
            },
            "baseline": NAMES[0],
            "metric": "val/accuracy",
            "trials": trials,
            "seeds": rounds,
            "seed": seed,
            "split_key": "data.split_seed",
            "stop_trials": False,  # as in the plain loop; a round's score has the same distribution for all either way
        }
    )


def run_study(config: StudyConfig, run: Run) -> StudyAnalysis:
    """Run all rounds of a study in this process, without a storage."""
    defaults = {name: config.defaults(name) for name in config.names}
    plan = Plan(config.trials, config.seeds, 0.0, None)
    outcomes: dict[str, Outcome] = {}
    progress = Progress(config, outcomes, defaults)
    rounds = Rounds(progress, defaults, plan)
    while (runs := rounds.next_runs(plan.seeds)) is not None:
        for key in progress.ready(runs, plan.trials):
            outcomes[str(key)] = run(progress, key, plan.trials)
    return StudyAnalysis(config, outcomes, defaults, plan.trials, plan.seeds)


def lightning_run(progress: Progress, key: RunKey, trials: int) -> Outcome:
    """Run as `descent compare` does."""
    order, point = order_of(progress, key, trials)
    return {**execute(order), "point": point}


def plain_run(progress: Progress, key: RunKey, trials: int, epochs: int) -> Outcome:
    """Train the same network by a plain loop."""
    point = progress.point(key, trials)
    stream, seed, split = progress.config.names.index(key.candidate), progress.seed(key), progress.split(key)
    trained = train(point["model.optimizer.lr"], epochs, seed, split, stream)
    tested = {"test/accuracy": trained.test} if key.stage == FINAL else {}
    if not trained.finite:
        return {"status": DIVERGED, "message": "", "score": None, "test": {}, "point": point}
    return {"status": DONE, "message": "", "score": trained.scores[-1], "test": tested, "point": point}


def summarise(way: str, epochs: int, analysis: StudyAnalysis, seconds: float) -> Study:
    """Count what a study decided."""
    pairs = [pair for (name, other), pair in analysis.pairs.items() if name < other]
    decisions = [pair.decision for pair in pairs]
    return Study(
        way,
        epochs,
        analysis.config.seed,
        sum(decision in ("better", "worse") for decision in decisions),
        decisions.count("equal"),
        decisions.count("undecided"),
        sum(pair.without_failed for pair in pairs),
        analysis.rounds,
        len(analysis.outcomes),
        round(seconds, 1),
        verdict(analysis),
    )


def main() -> None:
    """Run the studies that are missing in the table, and say how many err."""
    options = parser(__doc__, rounds=8, out=RESULTS / "studies")
    options.add_argument("--count", type=int, default=30, help="studies (default 30)")
    options.add_argument("--trials", type=int, default=5)
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--plain", action="store_true", help="train by a plain loop")
    chosen = options.parse_args()
    quiet()
    torch.set_num_threads(1)
    way = "plain" if chosen.plain else "lightning"
    run: Run = partial(plain_run, epochs=chosen.epochs) if chosen.plain else lightning_run
    file = Path(chosen.out) / f"null_{way}_{chosen.epochs}.csv"
    found = read_csv(Study, file)
    for seed in range(len(found), chosen.count):
        started = time.monotonic()
        analysis = run_study(null_study(chosen.epochs, chosen.trials, chosen.rounds, seed), run)
        found.append(summarise(way, chosen.epochs, analysis, time.monotonic() - started))
        write_csv(found, file, machine=False)
        print(*found[-1], flush=True)
    wrong = proportion(sum(study.better > 0 for study in found), len(found))
    pairs = sum(study.better + study.equal + study.undecided for study in found)
    print(
        f"{len(found)} studies: {100 * wrong.share:.1f} % call a difference [{100 * wrong.low:.1f}, "
        f"{100 * wrong.high:.1f}]; of {pairs} pairs {sum(s.equal for s in found)} are practically equal and "
        f"{sum(s.undecided for s in found)} undecided; {np.mean([s.rounds for s in found]):.1f} rounds"
    )


if __name__ == "__main__":
    main()
