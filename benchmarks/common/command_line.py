"""Options, machine line and CSV file of a benchmark."""

import argparse
import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

from foundation.hardware import describe_machine

RESULTS = Path("benchmarks/results")

Kind = TypeVar("Kind", bound=NamedTuple)


def parser(doc: str | None, rounds: int | None = None, out: Path | None = None) -> argparse.ArgumentParser:
    """Make the parser of a benchmark.

    Args:
        doc: Docstring of its module, which names the command; `--help` prints it.
        rounds: Default of `--rounds`, if it has rounds.
        out: Default of `--out`, the folder of its results, if it has one.
    """
    command = re.search(r"python -m [\w.]+", doc or "")
    assert command is not None, "the docstring must name the command"
    options = argparse.ArgumentParser(
        prog=command[0], description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if rounds is not None:
        options.add_argument("--rounds", type=int, default=rounds, help=f"rounds of measurement (default {rounds})")
    if out is not None:
        options.add_argument("--out", type=Path, default=out, help=f"folder of the results (default {out})")
    return options


def machine_line() -> str:
    """Describe processor and versions in one line."""
    return ", ".join(f"{name} {value}" for name, value in describe_machine().items() if value is not None)


def row_line(row: NamedTuple, digits: int = 3) -> str:
    """Write a row as one line, numbers that are not whole with so many digits."""
    return "  ".join(f"{value:.{digits}f}" if isinstance(value, float) else str(value) for value in row)


def write_csv(rows: Sequence[NamedTuple], file: Path, machine: bool = True) -> None:
    """Write rows of one kind as CSV; with `machine`, the last column says where they were measured."""
    file.parent.mkdir(parents=True, exist_ok=True)
    last = (machine_line(),) if machine else ()
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow([*rows[0]._fields, *(["machine"] if machine else [])])
        writer.writerows([*row, *last] for row in rows)


def read_csv(kind: type[Kind], file: Path) -> list[Kind]:
    """Read rows of one kind that `write_csv` wrote; none if there is no file. Fields are numbers, text, or None."""
    if not file.exists():
        return []
    types = kind.__annotations__
    with file.open(newline="") as opened:
        return [kind(*(_value(types[name], row[name]) for name in types)) for row in csv.DictReader(opened)]


def _value(kind: Any, text: str) -> Any:
    kinds = get_args(kind) or (kind,)
    return None if type(None) in kinds and not text else kinds[0](text)
