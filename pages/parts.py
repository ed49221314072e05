"""Tables, notes, and what can be folded out."""

import html
from collections.abc import Iterable, Sequence


def escaped(text: str) -> str:
    """Plain text as HTML."""
    return html.escape(text)


def note(text: str) -> str:
    """A paragraph of small print."""
    return f'<p class="note">{html.escape(text)}</p>'


def details(title: str, text: str) -> str:
    """A text that a click, or Enter, folds out."""
    return f"<details><summary>{html.escape(title)}</summary><pre>{html.escape(text)}</pre></details>"


def table(label: str, head: Sequence[str], rows: Iterable[Sequence[object]], left: bool = False) -> str:
    """A table that scrolls by itself where it is too wide, also with the arrow keys.

    Args:
        label: What it is, for those who do not see it.
        head: Names of the columns, plain text.
        rows: Cells; the first one names the row. Plain text, or `Cell`s.
        left: Align to the left: a table of words.
    """
    names = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{_row(row)}</tr>" for row in rows)
    align = ' class="left"' if left else ""
    return (
        f'<div class="wide" role="region" aria-label="{html.escape(label)}" tabindex="0">'
        f"<table{align}><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>"
    )


class Cell(str):
    """A table cell whose HTML is made already, `<td …>…</td>`."""

    __slots__ = ()


def _row(cells: Sequence[object]) -> str:
    first, *others = cells
    head = first if isinstance(first, Cell) else f'<th scope="row">{html.escape(str(first))}</th>'
    return str(head) + "".join(
        cell if isinstance(cell, Cell) else f"<td>{html.escape(str(cell))}</td>" for cell in others
    )
