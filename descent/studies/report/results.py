"""A finished study as tables, computed from its runs alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from descent.studies.running.one_run import CRASHED, DIVERGED, DONE, Outcome
from descent.studies.running.recorder import PHASES
from descent.studies.running.search import Point
from descent.studies.running.stages import RERUN, TUNE, Progress, RunKey
from descent.studies.statistics.curves import censored_median, expected_best, first_reached
from descent.studies.statistics.intervals import Interval, bootstrap_t_interval, t_interval
from descent.studies.statistics.paired_tests import PairwiseTests, all_pairs, tie_groups
from descent.studies.study_config import StudyConfig

ALPHA = 0.05


@dataclass(frozen=True)
class Rival:
    """What the study found of one candidate; `None` where its re-runs give nothing to compute it from."""

    name: str
    point: Point | None
    at_edge: list[str]
    mean: Interval | None
    scores: dict[int, float]
    """Judged metric by number of the re-run."""
    diverged: int
    crashed: int
    runs: int
    message: str


class StudyTables:
    """Tables of a study.

    Args:
        config: The study.
        outcomes: Of its runs, by key.
        defaults: Each candidate's own values of what is tuned.
        trials: Planned trials a candidate.
        seeds: Planned re-runs a candidate.
    """

    def __init__(
        self,
        config: StudyConfig,
        outcomes: Mapping[str, Outcome],
        defaults: Mapping[str, Point],
        trials: int,
        seeds: int,
    ) -> None:
        self.config, self.trials, self.seeds = config, trials, seeds
        self.outcomes = {RunKey.parse(key): outcome for key, outcome in outcomes.items()}
        self.progress = Progress(config, outcomes, defaults)

    # -- what is judged ------------------------------------------------------------------------------------------------

    @cached_property
    def metric(self) -> str:
        """The judged metric: that of the test where the data has one, else that of the validation."""
        name = self.config.metric.replace("val/", "test/", 1)
        reruns = [o for key, o in self.outcomes.items() if key.stage == RERUN and o["status"] == DONE]
        return name if reruns and all(o["test"].get(name) is not None for o in reruns) else self.config.metric

    def of(self, stage: str, candidate: str) -> dict[int, Outcome]:
        """Finished runs of a stage of a candidate, by number."""
        found = {k.index: o for k, o in self.outcomes.items() if (k.stage, k.candidate) == (stage, candidate)}
        return dict(sorted(found.items()))

    def judged(self, outcome: Outcome) -> float | None:
        """The judged metric of a re-run; `None` if it diverged or crashed."""
        if outcome["status"] != DONE:
            return None
        value = outcome["score"] if self.metric.startswith("val/") else outcome["test"].get(self.metric)
        return None if value is None else float(value)

    @cached_property
    def rivals(self) -> list[Rival]:
        """One a candidate, in the order of the config."""
        return [self._rival(name) for name in self.config.names]

    def _rival(self, name: str) -> Rival:
        all_runs = [o for key, o in self.outcomes.items() if key.candidate == name]
        scores = {i: v for i, o in self.of(RERUN, name).items() if (v := self.judged(o)) is not None}
        values = list(scores.values())
        interval = bootstrap_t_interval if self.config.interval == "bootstrap" and len(values) > 3 else t_interval
        return Rival(
            name=name,
            point=self.progress.chosen(name),
            at_edge=self.progress.edge(name),
            mean=interval(values) if len(values) > 1 else None,
            scores=scores,
            diverged=sum(o["status"] == DIVERGED for o in all_runs),
            crashed=sum(o["status"] == CRASHED for o in all_runs),
            runs=len(all_runs),
            message=next((str(o["message"]) for o in all_runs if o["status"] == CRASHED), ""),
        )

    @cached_property
    def compared(self) -> list[str]:
        """Candidates whose re-runs all came to a score: only those are tested, on the same seeds."""
        most = max((len(r.scores) for r in self.rivals), default=0)
        return [r.name for r in self.rivals if len(r.scores) == most and most > 1]

    @cached_property
    def tests(self) -> PairwiseTests | None:
        """Every pair of those compared; `None` for fewer than two."""
        rows = [list(r.scores.values()) for r in self.rivals if r.name in self.compared]
        return all_pairs(rows) if len(rows) > 1 else None

    def difference(self, name: str, other: str) -> tuple[float, float, float, float] | None:
        """Mean of name less other with its 95 % interval and corrected p-value; `None` if they were not compared."""
        if self.tests is None or name == other or not {name, other} <= set(self.compared):
            return None
        i, j = self.compared.index(name), self.compared.index(other)
        k = self.tests.pairs.index((min(i, j), max(i, j)))
        mean, low, high = (float(side[k]) for side in self.tests.difference.interval)
        if i > j:
            mean, low, high = -mean, -high, -low
        return mean, low, high, float(self.tests.corrected[k])

    @cached_property
    def letters(self) -> dict[str, str]:
        """Groups of ties."""
        if self.tests is None:
            return {}
        means = [float(r.mean.mean) for r in self.rivals if r.name in self.compared and r.mean is not None]
        groups = tie_groups(means, self.tests, self.config.larger_is_better, ALPHA)
        return dict(zip(self.compared, groups, strict=True))

    # -- target --------------------------------------------------------------------------------------------------------

    @cached_property
    def target(self) -> float | None:
        """Median of the target candidates' re-runs at their end, by validation."""
        ends = [
            o["score"] for name in self.config.targets for o in self.of(RERUN, name).values() if o["status"] == DONE
        ]
        return float(np.median(ends)) if ends else None

    def to_target(self, name: str, clock: str) -> tuple[float, int]:
        """Median steps or seconds of the re-runs to the target, and how many reached it."""
        if self.target is None:
            return math.nan, 0
        times = [
            first_reached(
                o[clock], [math.nan if s is None else s for s in o["scores"]], self.target, self.config.larger_is_better
            )
            for o in self.of(RERUN, name).values()
            if o["status"] != CRASHED
        ]
        return censored_median(times), sum(math.isfinite(t) for t in times)

    # -- time ----------------------------------------------------------------------------------------------------------

    @cached_property
    def timed(self) -> bool:
        """Whether the machine was the runs' own: seconds are reported only then."""
        flags = [o.get("alone") for key, o in self.outcomes.items() if key.stage == RERUN and o["status"] == DONE]
        return bool(flags) and sum(flag is True for flag in flags) >= 0.9 * len(flags)

    def seconds(self, name: str) -> float:
        """Median seconds of training of a re-run that had the machine to itself."""
        found = [o["seconds"][-1] for o in self.of(RERUN, name).values() if o.get("alone") and o.get("seconds")]
        return float(np.median(found)) if found else math.nan

    def split(self, name: str) -> dict[str, float]:
        """Share of each phase of a step, over all re-runs."""
        sums = {p: sum(o["split"][p] for o in self.of(RERUN, name).values() if o.get("split")) for p in PHASES}
        total = sum(sums.values())
        return {phase: value / total if total else math.nan for phase, value in sums.items()}

    # -- tables --------------------------------------------------------------------------------------------------------

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a candidate, the best first."""
        return candidate_rows(self)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run."""
        return run_rows(self)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row a validation of a re-run."""
        return curve_rows(self)

    def sensitivity(self, name: str) -> list[tuple[Point, float | None]]:
        """Points and scores of the tuning."""
        return self.progress.past(name)

    @cached_property
    def worst(self) -> float:
        """The worst score of all tuning trials: what one that diverged counts as."""
        scores = [o["score"] for k, o in self.outcomes.items() if k.stage == TUNE and o["score"] is not None]
        pick = min if self.config.larger_is_better else max
        return float(pick(scores)) if scores else math.nan

    def expected(self, name: str) -> list[float]:
        """Expected best validation score of k trials, for k = 1 up to all."""
        scores = [self.worst if score is None else score for _, score in self.progress.past(name)]
        return expected_best(scores, self.config.larger_is_better)

    def pairing(self) -> tuple[bool, bool]:
        """Whether the re-runs of each number started from the same weights, and from the same first batch."""
        same = []
        for what in ("weights", "batches"):
            by_index: dict[int, set[str]] = {}
            for key, o in self.outcomes.items():
                if key.stage == RERUN and o.get(what):
                    by_index.setdefault(key.index, set()).add(o[what])
            same.append(all(len(found) == 1 for found in by_index.values()))
        return same[0], same[1]


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
