"""The result of a study, and its folder: page, figures, tables and the study itself."""

import os
from functools import cached_property, partial
from pathlib import Path

import pandas as pd
import yaml
from matplotlib.figure import Figure

from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.context import context
from descent.studies.report.data_frames import candidate_table, curve_table, pair_table, run_table
from descent.studies.report.figures import all_figures
from descent.studies.report.page import page
from descent.studies.report.population import population
from descent.studies.report.verdict import verdict
from descent.studies.running.planner import Plan
from foundation.files import replacing
from foundation.hardware import describe_machine
from foundation.html.page_file import drawn_or_none, write_page

PAGE = "report.html"
COMMAND = "descent compare -c study.yaml --out again"
"""Repeats the study when it is run in the study's folder."""


class StudyResult:
    """The result of a finished study.

    Attributes:
        folder: The folder of its report.
        analysis: Everything that was computed from its runs.
        plan: What had been planned.
        verdict: One sentence to quote.
        population: What the verdict is about, and what can be said on new test images.
        table: One row per candidate, the best first.
        runs: One row per run.
        metric: The judged metric.
        ties: Letters by candidate; two share one unless one was found better.
        pairs: One row per pair of candidates: difference, interval, decision, probability of the better run.
        context: What was compared: data, network, epochs, steps, date.
        report: Path of the page.

    `descent compare --json` prints verdict, population, metric, ties, table, pairs, context and report under the same
    names.
    """

    def __init__(self, folder: Path, analysis: StudyAnalysis, plan: Plan | None) -> None:
        self.folder, self.analysis, self.plan = folder, analysis, plan
        self.verdict: str = verdict(analysis)
        self.population: str = population(analysis)
        self.table: pd.DataFrame = candidate_table(analysis)
        self.runs: pd.DataFrame = run_table(analysis)
        self.metric: str = analysis.metric
        self.ties: dict[str, str] = analysis.letters
        self.pairs: pd.DataFrame = pair_table(analysis)
        self.context: dict[str, str] = context(analysis)
        self.report: Path = folder / PAGE

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per validation of a final run."""
        return curve_table(self.analysis)

    @property
    def figures(self) -> dict[str, Figure]:
        """By name: differences, curves, curves_training, sensitivity, expected_best, time."""
        return all_figures(self.analysis)

    def _repr_html_(self) -> str:
        return f"<p><b>{self.verdict}</b></p><p>{self.population}</p>{self.table.to_html(float_format='{:.4g}'.format)}"


def write_report(result: StudyResult) -> Path:
    """Write the page, the figures, the tables and the study; return the page's path.

    Each file is replaced as a whole, so a crash leaves no incomplete file.

    Raises:
        OSError: The folder cannot be written to. No run is lost: runs are kept in the study's storage.
    """
    try:
        return _write_all(result)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{os.strerror(error.errno or 0)}: the report in {result.folder} is not complete. All runs are saved; run "
            "the same command again to write it",
        ) from error


def _write_all(result: StudyResult) -> Path:
    folder, analysis, machine = result.folder, result.analysis, describe_machine()
    for name, frame in {"table": result.table, "runs": result.runs, "curves": result.curves}.items():
        _write(folder / f"{name}.csv", frame.to_csv(index=name == "table", float_format="%.6g", lineterminator="\n"))
    study = {**analysis.config.record(), "trials": analysis.trials, "seeds": analysis.seeds}
    for name, content in {"study": study, "machine": machine}.items():
        _write(folder / f"{name}.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    (folder / "figures").mkdir(exist_ok=True)
    saved = {name: drawn_or_none(name, partial(_save, folder, name, f)) for name, f in result.figures.items()}
    figures = {name: figure for name, figure in saved.items() if figure is not None}
    write_page(folder / PAGE, lambda: page(analysis, figures, result.plan, machine, COMMAND))
    return folder / PAGE


def _save(folder: Path, name: str, figure: Figure) -> Figure:
    """Write a figure, which matplotlib lays out and draws only now, in both formats."""
    figure.savefig(folder / "figures" / f"{name}.png", dpi=160)
    figure.set_layout_engine("none")  # the layout is done; each further drawing would repeat it
    figure.savefig(folder / "figures" / f"{name}.svg", metadata={"Date": None})
    return figure


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
