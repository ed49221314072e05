"""Synthetic studies: configs with shipped presets, outcomes that are computed without training."""

from itertools import product
from typing import Any

import numpy as np

from descent.studies.report.analysis import StudyAnalysis
from descent.studies.running.stages import FINAL, PILOT, TUNE, Progress, RunKey
from descent.studies.study_config import StudyConfig, read_study

OPTIMIZERS = {
    "AdamW": {"model.optimizer": "optimizers/adamw.yaml"},
    "SGD": {"model.optimizer": "optimizers/sgd.yaml"},
    "Momentum": {"model.optimizer": "optimizers/sgd_momentum.yaml"},
}


def study(**changes: Any) -> StudyConfig:
    content = {
        "name": "toy",
        "experiment": "quickstart.yaml",
        "candidates": OPTIMIZERS,
        "baseline": "AdamW",
        "metric": "val/accuracy",
    }
    return read_study({**content, **changes})


def outcome(score: float | None, **more: Any) -> dict[str, Any]:
    status = "done" if score is not None else "diverged"
    curve = [] if score is None else [score / 2, score]
    return {
        "status": status,
        "message": "",
        "score": score,
        "test": {} if score is None else {"test/accuracy": score - 0.01},
        "steps": [10, 20][: len(curve)],
        "seconds": [1.0, 2.0][: len(curve)],
        "scores": curve,
        "train_scores": curve,
        "train_losses": [1.0, 0.5][: len(curve)],
        "split": {"data": 0.1, "forward": 0.4, "backward": 0.4, "step": 0.1},
        "bytes_per_parameter": 8.0,
        "weights": "w",
        "batches": "b",
        "wall": 2.0,
        "others": 0.0,
        "alone": True,
        "seed": 0,
        "worker": "host:1:2",
        "ended": "2026-01-01T00:00:00+00:00",
        **more,
    }


def analysis(
    levels: dict[str, float],
    sd: float = 0.005,
    trials: int = 3,
    seeds: int = 8,
    seed: int = 0,
    tuning_sd: float = 0.0,
    **changes: Any,
) -> StudyAnalysis:
    """A finished study in which each candidate has a true mean score; a candidate with a NaN mean diverges.

    It tunes once, unless `changes` say otherwise; then each tuning moves its candidate's scores by `tuning_sd`.
    """
    changes.setdefault("tuning", "once")
    config = study(candidates={name: OPTIMIZERS.get(name, OPTIMIZERS["SGD"]) for name in levels}, **changes)
    defaults = {name: config.defaults(name) for name in levels}
    rng = np.random.default_rng(seed)
    outcomes: dict[str, Any] = {}

    def put(key: RunKey, score: float, point: dict[str, float]) -> None:
        outcomes[str(key)] = outcome(None if np.isnan(score) else score, point=point)

    for number in range(seeds if config.tuned_in_rounds else 1):
        for index in range(trials):
            for name, level in levels.items():
                key = RunKey(TUNE, name, index, number)
                point = Progress(config, outcomes, defaults).point(key, trials)
                put(key, level - 0.1 * abs(np.log10(point.get("model.optimizer.lr", 1.0) / 0.1)), point)
    for name, level in levels.items():
        put(RunKey(PILOT, name, 0), level + rng.normal(0, sd), defaults[name])
    progress = Progress(config, outcomes, defaults)
    for number in range(seeds):
        of_seed = rng.normal(0, sd)
        of_tuning = {name: rng.normal(0, tuning_sd) if tuning_sd else 0.0 for name in levels}
        for repeat, (name, level) in product(range(config.final_runs), levels.items()):
            chosen = progress.best_point(name, config.tuning_of(number))
            if chosen is not None:
                key = RunKey(FINAL, name, number * config.final_runs + repeat)
                put(key, level + of_tuning[name] + of_seed + rng.normal(0, sd), chosen)
    return StudyAnalysis(config, outcomes, defaults, trials, seeds)
