"""`descent show curves`: the learning curves of one run, or of several in comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from callbacks.reporting.curves import curves, note_of
from callbacks.reporting.history import history, metrics_file
from descent.commands.parser import CommandParser
from descent.runs.folder import CONFIG
from descent.training.mistakes import mistakes_in_one_line
from foundation.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

FORMATS = (".png", ".pdf", ".svg")


def main(args: list[str], usage: str) -> Path:
    """Draw the figure and return its path.

    Args:
        args: The words after `descent show curves`.
        usage: Its help.
    """
    parser = CommandParser("show curves", usage)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--metric", action="append", default=[])
    parser.add_argument("--to", type=Path)
    parser.add_argument("--out", type=Path, default=Path())
    options = parser.parse_args(args)
    if options.to is not None and options.to.suffix.lower() not in FORMATS:
        parser.error(f"--to {options.to}: the name must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    with mistakes_in_one_line():
        return draw(options.runs, options.metric, options.to or options.out / "curves.png")


def draw(runs: Sequence[str], metrics: Sequence[str], to: Path) -> Path:
    """Draw the curves of runs into a file."""
    files = [file_of(run) for run in runs]
    repeated = next((run for run, file in zip(runs, files, strict=True) if files.count(file) > 1), None)
    if repeated is not None:
        raise UserError(f"{repeated} is given twice, by the same or another path: give each run once.")
    tables = [table_of(file) for file in files]
    labels = [""] if len(files) == 1 else labels_of(files)
    notes = [note_of(callbacks_of(file.parent)) for file in files]
    note = notes[0] if len(set(notes)) == 1 else note_of([])
    if len(files) > 1:
        note = f"Solid: validation; dashed: training. {note}"
    figure = curves(list(zip(labels, tables, strict=True)), metrics, note)
    to.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(to, dpi=200)
    print(to)
    return to


def file_of(run: str) -> Path:
    """Return the table of a run; an experiment's folder stands for its newest run."""
    path = Path(run).expanduser()
    if not path.exists():
        raise UserError(f"no run {path}: give a run's folder, such as runs/quickstart/0, or its metrics.csv.")
    try:
        return metrics_file(path).absolute()
    except FileNotFoundError as error:
        raise UserError(f"{path} is no run: {error}") from error


def table_of(file: Path) -> "pd.DataFrame":
    """Return the table of a run by epoch."""
    try:
        table = history(file)
    except ValueError as error:  # among them what pandas raises for a file that is no table
        text = str(error).strip()
        raise UserError(text if str(file) in text else f"{file} is no table of metrics: {text}") from error
    if not len(table):
        raise UserError(f"{file} has no rows yet.")
    return table


def labels_of(files: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the runs' folders that tell them apart.

    Example:
        >>> labels_of([Path("runs/digits/0/metrics.csv"), Path("runs/digits/1/metrics.csv")])
        ['digits/0', 'digits/1']
        >>> labels_of([Path("a/digits/0/metrics.csv"), Path("b/digits/0/metrics.csv")])
        ['a/digits/0', 'b/digits/0']
    """
    for parts in range(2, max(len(file.parts) for file in files)):
        labels = ["/".join(file.parent.parts[-parts:]) for file in files]
        if len(set(labels)) == len(labels):
            break
    return labels


def callbacks_of(folder: Path) -> list[str]:
    """Return the class names of the callbacks in a run's config; empty for a run without one, or of another program."""
    try:
        config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    trainer = config.get("trainer") if isinstance(config, dict) else None
    listed: Any = (trainer.get("callbacks") if isinstance(trainer, dict) else None) or []
    listed = listed if isinstance(listed, list) else [listed]
    return [str(each.get("class_path", "")).rpartition(".")[2] for each in listed if isinstance(each, dict)]
