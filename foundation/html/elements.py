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


FULL = (0, 90, 156)


def shaded(text: str, share: float, title: str) -> Cell:
    """A table cell, the bluer the larger the share.

    Args:
        text: Plain text without markup.
        share: In [0, 1]: 0 is white, 1 full blue.
        title: Said of the cell, plain text, escaped already.
    """
    background = shade(share)
    color = max(((0, 0, 0), (255, 255, 255)), key=lambda ink: contrast(ink, background))
    style = f"background:rgb{background};color:rgb{color}".replace(" ", "")
    return Cell(f'<td style="{style}" title="{title}">{text}</td>')


def shade(share: float) -> tuple[int, int, int]:
    """The background of a share.

    Example:
        >>> shade(0.0), shade(1.0)
        ((255, 255, 255), (0, 90, 156))
    """
    red, green, blue = (round(255 + share * (full - 255)) for full in FULL)
    return red, green, blue


def contrast(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG 2.2 defines it.

    Example:
        >>> contrast((0, 0, 0), (255, 255, 255))
        21.0
    """
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: tuple[int, int, int]) -> float:
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
