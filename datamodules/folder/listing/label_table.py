"""A CSV file that names images and their labels, as Kaggle and many labelling programs write it."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from datamodules.folder.listing.layout import in_order, split_named
from foundation.errors import UserError

PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name")
IDS = ("image_id", "imageid", "id", "id_code", "img", "name")
SPLIT_COLUMNS = ("split", "subset", "set", "partition")
SEPARATORS = ("|", ";", ",", " ")
_ADVICE = "give the columns, first that of the paths: --data.columns '[path,label]'"


@dataclass
class LabelTable:
    """The rows of a CSV file.

    Args:
        file: The CSV file.
        labels: Labels of each path, in the order of the rows; exactly one of each unless there may be several.
        several: Whether an image may have none, one or several labels.
        splits: ``train``, ``val`` or ``test`` of each path, if the file says it.
        names: All labels, in the order of the columns if each has its own.
    """

    file: Path
    labels: dict[str, tuple[str, ...]]
    several: bool
    splits: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def path_of(self, name: str) -> str:
        """Return the path in the table of a file, whose extension it may leave out."""
        return name if name in self.labels else os.path.splitext(name)[0]  # noqa: PTH122

    def split_of(self, name: str) -> str:
        """Return ``train``, ``val`` or ``test`` of a file."""
        return self.splits[self.path_of(name)]

    def targets(self, paths: Sequence[str], class_names: list[str]) -> Tensor:
        """Return class numbers ``(N,)``, or labels 0 or 1 ``(N, K)`` float32."""
        paths = [self.path_of(path) for path in paths]
        number = {name: place for place, name in enumerate(class_names)}
        if not self.several:
            return torch.tensor([number[self.labels[path][0]] for path in paths])
        found = torch.zeros(len(paths), len(class_names))
        for row, path in enumerate(paths):
            found[row, [number[name] for name in self.labels[path]]] = 1.0
        return found


def read_labels(file: Path, columns: list[str] | None, several: bool) -> LabelTable:
    """Read a CSV file.

    Args:
        file: With a header.
        columns: The column of the paths, then that of the labels, or one column of 0 and 1 for each label. Default:
            by their names; all columns but those of paths and splits hold labels.
        several: Whether an image may have several labels: in a cell they are separated by ``|``, ``;``, commas or
            spaces; rows of the same image are joined.

    Raises:
        UserError: The file cannot be used; the message says which row or column is wrong.
    """
    header, rows = _rows(file)
    path_column, label_columns, split_column = _columns(file, header, columns)
    table = LabelTable(file, {}, several)
    indicators = len(label_columns) > 1
    place = {name: header.index(name) for name in header}
    first: dict[str, int] = {}
    separator = _separator([row[place[label_columns[0]]] for _, row in rows]) if several and not indicators else None
    for number, row in rows:
        path = row[place[path_column]].strip().replace("\\", "/").removeprefix("./")
        cells = [row[place[name]].strip() for name in label_columns]
        labels = _marked(file, number, label_columns, cells) if indicators else _listed(cells[0], separator)
        if not path:
            raise UserError(f"{file}, line {number}: column {path_column!r} is empty.")
        if not several and len(labels) != 1:
            raise UserError(f"{file}, line {number}: {_count(labels)}; allowed with --data.several_labels true.")
        if path in first and not (several and not indicators):
            raise UserError(f"{file} has {path} twice, in lines {first[path]} and {number}: remove one.")
        first.setdefault(path, number)
        table.labels[path] = tuple(dict.fromkeys((*table.labels.get(path, ()), *labels)))
        if split_column is not None:
            table.splits[path] = _split(file, number, row[place[split_column]])
    found = dict.fromkeys(name for labels in table.labels.values() for name in labels)
    table.names = label_columns if indicators else in_order(found)
    if len(table.names) < (1 if several else 2):
        raise UserError(f"{file} has {len(table.names)} label in column {label_columns[0]!r}: expected two or more.")
    return table


def _rows(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and the rows with their line numbers."""
    if not file.is_file():
        raise FileNotFoundError(f"data.labels: {file} does not exist; give a CSV file with a header.")
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            first = opened.readline()
            opened.seek(0)
            mark = ";" if first.count(";") > first.count(",") else ","
            reader = csv.reader(opened, delimiter="\t" if "\t" in first else mark)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"data.labels: {file} is no CSV file in UTF-8: {error}.") from error
    if not rows:
        raise UserError(f"data.labels: {file} has no rows.")
    if len(set(header)) < len(header):
        raise UserError(f"{file} has two columns of the same name: {', '.join(header)}.")
    for number, row in rows:
        if len(row) != len(header):
            raise UserError(f"{file}, line {number}: {len(row)} cells, the header has {len(header)}.")
    return header, rows


def _columns(file: Path, header: list[str], columns: list[str] | None) -> tuple[str, list[str], str | None]:
    """Return the columns of paths, labels and splits."""
    lower = {name.lower(): name for name in header}
    split = next((lower[name] for name in SPLIT_COLUMNS if name in lower), None)
    if columns is not None:
        unknown = [name for name in columns if name not in header]
        if unknown or len(columns) < 2:
            what = f"has no column {', '.join(map(repr, unknown))}" if unknown else "needs a column of labels"
            raise UserError(f"{file} {what}; its columns are {', '.join(header)}: {_ADVICE}.")
        return columns[0], list(columns[1:]), split if split not in columns else None
    path = next((lower[name] for name in (*PATHS, *IDS) if name in lower), None)
    labels = [name for name in header if name and name not in (path, split)]
    if path is None or not labels:
        missing = "no column of paths" if path is None else "no column of labels"
        raise UserError(f"{file} has {missing} that is known by its name, it has {', '.join(header)}: {_ADVICE}.")
    return path, labels, split


def _marked(file: Path, number: int, names: list[str], cells: list[str]) -> list[str]:
    """Return the names of the columns that hold a 1."""
    for name, cell in zip(names, cells, strict=True):
        if cell not in ("0", "1", "0.0", "1.0", "True", "False", "true", "false"):
            raise UserError(
                f"{file}, line {number}: {cell!r} in column {name!r}; columns of several labels hold 0 or 1. If only "
                f"one column holds labels, {_ADVICE}."
            )
    return [name for name, cell in zip(names, cells, strict=True) if cell in ("1", "1.0", "True", "true")]


def _separator(cells: list[str]) -> str:
    """Return what separates the labels in a column."""
    return next((mark for mark in SEPARATORS if any(mark in cell.strip() for cell in cells)), " ")


def _listed(cell: str, separator: str | None) -> list[str]:
    if separator is None:
        return [cell] if cell else []
    return [name.strip(" '\"[]") for name in cell.split(separator) if name.strip(" '\"[]")]


def _count(labels: list[str]) -> str:
    return f"{len(labels)} labels, {', '.join(labels)}" if labels else "no label"


def _split(file: Path, number: int, cell: str) -> str:
    split = split_named(cell.strip())
    if split is None:
        raise UserError(f"{file}, line {number}: the split is {cell!r}; expected train, val or test.")
    return split
