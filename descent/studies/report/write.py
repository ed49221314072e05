"""A study's folder: page, figures, tables, and the study itself, written so that a crash leaves no half of a file."""

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from descent.studies.report.page import page
from descent.studies.report.results import StudyTables
from descent.studies.report.verdict import verdict
from descent.studies.running.planner import Plan
from foundation.files import replacing
from foundation.hardware import describe_machine

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PAGE = "report.html"


def write_report(result: "StudyResult") -> Path:
    """Write everything; the page's path.

    Raises:
        OSError: The folder cannot be written to; the study's own storage keeps every run.
    """
    try:
        return _write_all(result)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}: the report in {result.folder} is not complete. Every run is kept, the same command "
            "writes it",
        ) from error


def _write_all(result: "StudyResult") -> Path:
    folder, tables = result.folder, result.tables
    figures = result.figures
    (folder / "figures").mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / "figures" / f"{name}.png", dpi=160)
        figure.savefig(folder / "figures" / f"{name}.svg", metadata={"Date": None})
    for name in ("table", "runs", "curves"):
        frame = getattr(tables, name)
        _write(folder / f"{name}.csv", frame.to_csv(index=name == "table", float_format="%.6g", lineterminator="\n"))
    machines = describe_machine()
    record = {**tables.config.record(), "trials": tables.trials, "seeds": tables.seeds}
    _write(folder / "study.yaml", yaml.safe_dump(record, sort_keys=False, allow_unicode=True))
    _write(folder / "machine.yaml", yaml.safe_dump(machines, sort_keys=False, allow_unicode=True))
    text = page(tables, figures, result.plan, machines, command())
    _write(folder / PAGE, text)
    return folder / PAGE


def command() -> str:
    """The command that repeats the study, in its folder."""
    return "descent compare -c study.yaml --out again"


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


class StudyResult:
    """A finished study.

    Attributes:
        folder: Where its report lies.
        tables: Everything that was found.
        plan: What had been planned.
        verdict: One sentence to quote.
        table: One row a candidate, the best first.
        runs: One row a run.
    """

    def __init__(self, folder: Path, tables: StudyTables, plan: Plan | None) -> None:
        self.folder, self.tables, self.plan = folder, tables, plan
        self.verdict: str = verdict(tables)
        self.table: pd.DataFrame = tables.table
        self.runs: pd.DataFrame = tables.runs

    @property
    def figures(self) -> "dict[str, Figure]":
        """By name: curves, differences, sensitivity, expected_best, time."""
        from descent.studies.report.figures import all_figures

        return all_figures(self.tables)

    def _repr_html_(self) -> str:
        return f"<p><b>{self.verdict}</b></p>{self.table.to_html(float_format='{:.4g}'.format)}"
