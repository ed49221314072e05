"""The three tables of a study as DataFrames: one row per candidate, per run, or per validation."""

import math
from typing import Any

import numpy as np
import pandas as pd

from descent.studies.report.analysis import CandidateSummary, StudyAnalysis
from descent.studies.running.rounds import round_of
from descent.studies.running.stages import FINAL

AGAINST = (
    "difference",
    "difference_low",
    "difference_high",
    "decision",
    "rounds",
    "chance_better",
    "chance_low",
    "chance_high",
    "settings_difference",
    "settings_low",
    "settings_high",
    "new_images_low",
    "new_images_high",
    "new_images_decision",
)
"""Columns of a pair, e.g. a candidate and the baseline: difference, decision, rounds, chance, fixed settings, and the
interval and decision on new test images."""


def candidate_table(analysis: StudyAnalysis) -> pd.DataFrame:
    """One row per candidate, the best first."""
    rows = [_candidate(analysis, summary) for summary in analysis.summaries]
    return pd.DataFrame(rows).set_index("candidate").loc[analysis.ranking]


def _candidate(analysis: StudyAnalysis, summary: CandidateSummary) -> dict[str, Any]:
    name = summary.name
    mean, low, high = summary.mean or (math.nan,) * 3
    steps, reached = analysis.to_target(name, "steps")
    return {
        "candidate": name,
        "group": analysis.letters.get(name, ""),
        "mean": float(mean),
        "low": float(low),
        "high": float(high),
        "sd": float(np.std(list(summary.scores.values()), ddof=1)) if len(summary.scores) > 1 else math.nan,
        **_against(analysis, name, analysis.config.baseline),
        **{f"best {key}": value for key, value in (summary.point or {}).items()},
        "at_edge": " ".join(summary.at_edge),
        "steps_to_target": steps,
        "seconds_to_target": analysis.to_target(name, "seconds")[0] if analysis.timed else math.nan,
        "reached": reached,
        "seconds": analysis.seconds(name) if analysis.timed else math.nan,
        "optimizer_bytes_per_parameter": analysis.optimizer_bytes(name),
        **{f"share_{phase}": share for phase, share in analysis.split(name).items()},
        "reruns": summary.final_runs,
        "diverged": summary.diverged,
        "crashed": summary.crashed,
    }


def _against(analysis: StudyAnalysis, name: str, other: str) -> dict[str, Any]:
    """Return the columns of a candidate against another one."""
    pair, new = analysis.pairs.get((name, other)), analysis.new_images.get((name, other))
    if pair is None:
        return dict.fromkeys(AGAINST, math.nan) | {"decision": "", "new_images_decision": ""}
    chance = (float(side) for side in pair.chance)
    settings = (math.nan,) * 3 if pair.settings is None else (float(side) for side in pair.settings)
    on_new = (math.nan, math.nan, "") if new is None else (new.low, new.high, new.decision)
    values = (pair.mean, pair.low, pair.high, pair.decision, pair.rounds, *chance, *settings, *on_new)
    return dict(zip(AGAINST, values, strict=True))


def pair_table(analysis: StudyAnalysis) -> pd.DataFrame:
    """One row per pair of compared candidates, the better mean first."""
    order = [name for name in analysis.ranking if name in analysis.compared]
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if (a, b) in analysis.pairs]
    columns = ["candidate", "other", *AGAINST, "without_failed"]
    rows = [
        {"candidate": a, "other": b, **_against(analysis, a, b), "without_failed": analysis.pairs[a, b].without_failed}
        for a, b in pairs
    ]
    return pd.DataFrame(rows, columns=columns)


def run_table(analysis: StudyAnalysis) -> pd.DataFrame:
    """One row per run; machines are numbered, so that no host name is published."""
    runs = sorted(analysis.outcomes.items(), key=lambda entry: (entry[0].stage, entry[0].round, entry[0].index))
    hosts = sorted({str(o.get("worker", "")).partition(":")[0] for _, o in runs})
    return pd.DataFrame(
        {
            "stage": key.stage,
            "round": round_of(key, analysis.config.final_runs),
            "candidate": key.candidate,
            "index": key.index,
            "seed": o.get("seed"),
            **(o.get("point") or {}),
            "status": o["status"],
            analysis.config.metric: o["score"],
            **(o.get("test") or {}),
            "seconds": (o.get("seconds") or [None])[-1],
            "others_cores": o.get("others"),
            "alone": o.get("alone"),
            "weights": o.get("weights"),
            "batches": o.get("batches"),
            "machine": hosts.index(str(o.get("worker", "")).partition(":")[0]),
            "ended": o.get("ended"),
            "message": o.get("message"),
        }
        for key, o in runs
    )


def curve_table(analysis: StudyAnalysis) -> pd.DataFrame:
    """One row per validation of a final run."""
    columns = ["candidate", "index", "validation", "step", "val", "train", "train_loss"]
    rows = []
    for key, o in analysis.outcomes.items():
        if key.stage == FINAL:
            train = o.get("train_scores") or []
            for i, (step, score) in enumerate(zip(o.get("steps") or [], o.get("scores") or [], strict=True)):
                train_score = train[i] if len(train) == len(o["steps"]) else None
                rows.append((key.candidate, key.index, i, step, score, train_score, o["train_losses"][i]))
    return pd.DataFrame(rows, columns=columns)
