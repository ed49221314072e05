"""Read the final scores of finished studies from the tables in their folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from descent.studies.config_overlay import read_mapping
from descent.studies.running.decisions import is_share
from descent.studies.statistics.intervals import Floats
from foundation.errors import UserError
from foundation.metrics.names import by_canonical_name, canonical


class StudyScores(NamedTuple):
    """Final scores of one study."""

    name: str
    """Name of its folder; the whole path where several have the same name."""
    metric: str
    """The judged metric."""
    larger_is_better: bool
    scores: Floats
    """Shape (candidates, rounds): mean score of a round; NaN where a final run has none."""

    @property
    def costs(self) -> Floats:
        """Shape (candidates,): mean over the rounds, smaller is better; of a share the distance to 1."""
        return cost_of(self, self.scores)


def cost_of(study: StudyScores, scores: Floats) -> Floats:
    """Return the cost of each candidate, of which ratios have a meaning: an error, or the distance of a share to 1.

    A candidate without a score in more than half of the rounds has an infinite cost.

    Raises:
        UserError: The metric is not such a cost: it should be large and is no share, or it is negative.
    """
    known = np.isfinite(scores)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, scores, 0.0).sum(axis=-1) / known.sum(axis=-1)
    mean = np.where(2 * known.sum(axis=-1) >= scores.shape[-1], mean, np.nan)
    if study.larger_is_better:
        if not is_share(study.metric):
            raise UserError(
                f"{study.name} is judged by {study.metric}, which has no smallest value: profiles need an error or a "
                "share such as accuracy."
            )
        mean = 1 - mean
    if np.nanmin(mean, initial=0.0) < 0:
        raise UserError(f"{study.name} has negative values of {study.metric}: their ratios have no meaning.")
    return np.where(np.isnan(mean), np.inf, mean)


def read_studies(folders: Sequence[Path]) -> tuple[list[str], list[StudyScores]]:
    """Read studies, and keep the candidates that all of them have.

    Returns:
        The candidates, in the order of the first study, and the studies.

    Raises:
        FileNotFoundError: A folder is not that of a finished study.
        UserError: There are fewer than two studies, or fewer than two common candidates.
    """
    if len(folders) < 2:
        raise UserError(f"a summary needs at least 2 studies, found {len(folders)}.")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("a study is given twice, which would count it twice.")
    tables = [_table(folder) for folder in folders]
    common = [name for name in tables[0][0]["candidate"].unique() if all(_has(table, name) for table, _ in tables)]
    if len(common) < 2:
        raise UserError(
            f"the {len(folders)} studies have {len(common)} candidates of the same name; a summary needs at least 2."
        )
    names = [folder.resolve().name for folder in folders]
    names = [str(folder) if names.count(name) > 1 else name for folder, name in zip(folders, names, strict=True)]
    return common, [_scores(name, *table, common) for name, table in zip(names, tables, strict=True)]


def _has(table: pd.DataFrame, name: Any) -> bool:
    return bool((table["candidate"] == name).any())


def _table(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    for file in ("runs.csv", "study.yaml"):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder} is no finished study: it has no {file}. (descent compare writes it.)")
    study = read_mapping(folder / "study.yaml", "is not a study.")
    try:
        runs = pd.read_csv(folder / "runs.csv")
    except ValueError as error:  # empty, or no table
        raise UserError(f"{folder / 'runs.csv'} is no table of a study's runs: {error}") from error
    if missing := [name for name in ("stage", "candidate", "index", "status") if name not in runs]:
        raise UserError(f"{folder / 'runs.csv'} is no table of a study's runs: it has no column {missing[0]}.")
    return runs[runs["stage"] == "rerun"], study


def _scores(name: str, runs: pd.DataFrame, study: dict[str, Any], names: list[str]) -> StudyScores:
    judged = study.get("metric")
    if not isinstance(judged, str):
        raise UserError(f"{name}: study.yaml names no metric.")
    wanted = canonical(judged).replace("val/", "test/", 1)
    known = by_canonical_name([str(name) for name in runs.columns if runs[name].notna().any()])
    metric = known.get(wanted, judged)
    if metric not in runs:
        raise UserError(f"{name}: the runs have no {metric}, by which study.yaml says that they are judged.")
    if "round" not in runs:  # a study of an earlier version, with one final run per round
        runs = runs.assign(round=runs["index"])
    failed = runs["status"] != "done"
    values = runs.assign(score=runs[metric].mask(failed))
    means = values.groupby(["candidate", "round"])["score"].agg(lambda runs: runs.mean(skipna=False))
    grid = means.unstack("round").reindex(names)
    return StudyScores(name, metric, study.get("mode") == "max", grid.to_numpy(dtype=np.float64))
