"""What an evaluation reports, for every task, and the files that it writes."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from descent.inference.prediction.table import write_csv
from foundation.files import replacing, strict_json
from foundation.html.page_file import write_page


class Table(NamedTuple):
    """A table for a CSV file.

    Args:
        header: Names of the columns.
        rows: In order.
    """

    header: Sequence[str]
    rows: Iterable[Sequence[object]]


def csv_number(value: float) -> str:
    """Return a number as it stands in a table: six decimals; nothing for NaN, for what is not defined."""
    return "" if math.isnan(value) else f"{value:.6f}"


@dataclass(frozen=True)
class Report:
    """The evaluation of a network.

    Args:
        found: The evaluation itself, whose class depends on the task.
        sentences: The most important results, for the terminal.
        numbers: All numbers, for evaluation.json; NaN, for what is not defined, becomes null.
        tables: By file name.
        page: Makes the HTML of evaluation.html; called last, so that an error in it loses no result.
    """

    found: Any
    sentences: Sequence[str]
    numbers: dict[str, Any]
    tables: dict[str, Table]
    page: Callable[[], str]


def write_report(report: Report, folder: Path) -> str:
    """Write the tables, `evaluation.json` and `evaluation.html` into a folder, which is created if it does not exist.

    Returns:
        The text of evaluation.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in report.tables.items():
        write_csv(folder / name, table.header, table.rows)
    text = strict_json(report.numbers) + "\n"
    with replacing(folder / "evaluation.json") as new:
        new.write_text(text, "utf-8", "backslashreplace")
    write_page(folder / "evaluation.html", report.page)
    return text
