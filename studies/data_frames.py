"""The tables of a study as data frames: a row a candidate, a run or a validation."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from studies.stages import RERUN

if TYPE_CHECKING:
    from studies.results import Rival, StudyTables


def candidate_rows(tables: "StudyTables") -> pd.DataFrame:
    """One row a candidate, the best first."""
    frame = pd.DataFrame([_candidate(tables, rival) for rival in tables.rivals]).set_index("candidate")
    return frame.sort_values("mean", ascending=not tables.config.larger_is_better, na_position="last", kind="stable")


def _candidate(tables: "StudyTables", rival: "Rival") -> dict[str, Any]:
    against = tables.difference(rival.name, tables.config.baseline)
    mean, low, high = rival.mean or (math.nan,) * 3
    steps, reached = tables.to_target(rival.name, "steps")
    sizes = [o["bytes_per_parameter"] for o in tables.of(RERUN, rival.name).values() if o.get("bytes_per_parameter")]
    return {
        "candidate": rival.name,
        "group": tables.letters.get(rival.name, ""),
        "mean": float(mean),
        "low": float(low),
        "high": float(high),
        "sd": float(np.std(list(rival.scores.values()), ddof=1)) if len(rival.scores) > 1 else math.nan,
        "difference": against[0] if against else math.nan,
        "difference_low": against[1] if against else math.nan,
        "difference_high": against[2] if against else math.nan,
        "p_corrected": against[3] if against else math.nan,
        **{f"best {key}": value for key, value in (rival.point or {}).items()},
        "at_edge": " ".join(rival.at_edge),
        "steps_to_target": steps,
        "seconds_to_target": tables.to_target(rival.name, "seconds")[0] if tables.timed else math.nan,
        "reached": reached,
        "seconds": tables.seconds(rival.name) if tables.timed else math.nan,
        "optimizer_bytes_per_parameter": sizes[0] if sizes else 0.0,
        **{f"share_{phase}": share for phase, share in tables.split(rival.name).items()},
        "reruns": len(tables.of(RERUN, rival.name)),
        "diverged": rival.diverged,
        "crashed": rival.crashed,
    }


def run_rows(tables: "StudyTables") -> pd.DataFrame:
    """One row a run."""
    rows = []
    hosts = sorted({str(o.get("worker", "")).partition(":")[0] for o in tables.outcomes.values()})
    for key, o in sorted(tables.outcomes.items(), key=lambda entry: (entry[0].stage, entry[0].index)):
        rows.append(
            {
                "stage": key.stage,
                "candidate": key.candidate,
                "index": key.index,
                "seed": o.get("seed"),
                **(o.get("point") or {}),
                "status": o["status"],
                tables.config.metric: o["score"],
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
        )
    return pd.DataFrame(rows)


def curve_rows(tables: "StudyTables") -> pd.DataFrame:
    """One row a validation of a re-run."""
    rows = []
    for key, o in tables.outcomes.items():
        if key.stage != RERUN:
            continue
        train = o.get("train_scores") or []
        for i, (step, score) in enumerate(zip(o.get("steps") or [], o.get("scores") or [], strict=True)):
            rows.append(
                {
                    "candidate": key.candidate,
                    "index": key.index,
                    "validation": i,
                    "step": step,
                    "val": score,
                    "train": train[i] if len(train) == len(o["steps"]) else None,
                    "train_loss": o["train_losses"][i],
                }
            )
    columns = ["candidate", "index", "validation", "step", "val", "train", "train_loss"]
    return pd.DataFrame(rows, columns=columns)
