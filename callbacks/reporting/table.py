"""The table of a run: a header, and aligned rows that fit the terminal."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from foundation.metrics.names import canonical

GAP = "  "
NUMBER = 8  # characters of a metric's value
LONGEST_TITLE = 22
SHORT = {"accuracy": "acc", "generator": "gen", "discriminator": "disc", "learning_rate": "lr"}
IMPORTANT = ("val/loss", "train/loss", "val/accuracy", "train/accuracy")
"""Metrics that stay where the terminal is narrow, the most important one first."""
BEST = "*"
"""Stands behind a value that is the best so far."""


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Args:
        key: Name of the logged value, or one of the table's own: `epoch`, `step`, `lr`, `time`, `left`.
        title: Its title.
        width: Characters.
        rank: Columns of a high rank are left out first where the terminal is narrow.
        marked: Whether its best values are marked; this takes one more character.
    """

    key: str
    title: str
    width: int
    rank: float
    marked: bool = False

    def cell(self, text: str, best: bool = False) -> str:
        """Return a text right-aligned, with the mark or the room for it."""
        return f"{text:>{self.width}}" + ((BEST if best else " ") if self.marked else "")

    @property
    def room(self) -> int:
        """Characters with the mark."""
        return self.width + self.marked


def title_of(name: str) -> str:
    """Return a metric's title, short enough for a column.

    Example:
        >>> [title_of(name) for name in ("val/accuracy_top5", "loss/train", "val/generator_loss", "temperature")]
        ['val acc top5', 'train loss', 'val gen loss', 'temperature']
        >>> title_of("val_loss/dataloader_idx_1"), title_of("val/a_quantity_with_a_very_long_name")
        ('val loss #1', 'val a quantity with a…')
    """
    text = canonical(name).replace("/", " ").replace("_", " ").replace(" dataloader idx ", " #")
    text = " ".join(SHORT.get(word, word) for word in text.split())
    return text if len(text) <= LONGEST_TITLE else f"{text[: LONGEST_TITLE - 1].rstrip()}…"


def number(value: float, width: int = NUMBER) -> str:
    """Return a number in at most `width` characters: four decimals, fewer for a large one, an exponent for a tiny one.

    Example:
        >>> [number(value) for value in (0.84137, -12.5, 123456.789, 0.0000321, 1.5e12, float("nan"), 0.0)]
        ['0.8414', '-12.5000', '123456.8', '3.21e-05', '1.5e+12', 'nan', '0.0000']
    """
    plain = value == 0 or not math.isfinite(value) or 1e-3 <= abs(value) < 10.0 ** (width - 2)
    formats = (".4f", ".3f", ".2f", ".1f", ".0f") if plain else (".3g", ".2g", ".1g")
    return next((text for each in formats if len(text := f"{value:{each}}") <= width), f"{value:.1g}")


def duration(seconds: float, decimals: int = 1) -> str:
    """Return a duration in at most eight characters.

    Args:
        seconds: The duration.
        decimals: Of less than ten seconds.

    Example:
        >>> [duration(seconds) for seconds in (0.42, 12.3, 75, 4000, 200000, 1e7)]
        ['0.4 s', '12 s', '1:15 min', '1:06 h', '2 d 7 h', '115 d']
    """
    if seconds < 9.95:
        return f"{seconds:.{decimals}f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    if whole < 86400:
        return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
    return f"{whole // 86400} d {whole % 86400 // 3600} h" if whole < 10 * 86400 else f"{whole // 86400} d"


def metric_columns(names: Sequence[str], monitored: str | None) -> list[Column]:
    """Return the columns of metrics, in their order; the monitored one stays longest where there is little room."""
    columns = []
    for place, name in enumerate(names):
        known = canonical(name)
        rank = 1.0 + IMPORTANT.index(known) if known in IMPORTANT else 10.0 + place
        marked = name == monitored
        title = title_of(name)
        columns.append(Column(name, title, max(len(title), NUMBER), 0.5 if marked else rank, marked))
    return columns


def fitting(columns: Iterable[Column], width: float) -> list[Column]:
    """Return the columns that fit into a width together: the first always, the others by rank."""
    first, *others = columns
    kept, used = {first.key}, first.room
    for column in sorted(others, key=lambda each: each.rank):
        if used + len(GAP) + column.room <= width:
            kept.add(column.key)
            used += len(GAP) + column.room
    return [column for column in (first, *others) if column.key in kept]


def header(columns: Sequence[Column]) -> str:
    """Return the line of titles."""
    return GAP.join(column.cell(column.title) for column in columns).rstrip()


def row(columns: Sequence[Column], cells: Mapping[str, str], best: bool = False) -> str:
    """Return a line of cells; one that is not given stays empty."""
    return GAP.join(column.cell(cells.get(column.key, ""), best and column.marked) for column in columns).rstrip()
