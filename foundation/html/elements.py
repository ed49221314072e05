"""HTML elements: tables, notes, collapsible texts."""

import html
from collections.abc import Iterable, Sequence


def escaped(text: str) -> str:
    """Escape plain text for HTML."""
    return html.escape(text)


def note(text: str) -> str:
    """Return a paragraph in small print."""
    return f'<p class="note">{html.escape(text)}</p>'


def details(title: str, text: str) -> str:
    """Return a text that is shown on a click or Enter."""
    return f"<details><summary>{html.escape(title)}</summary><pre>{html.escape(text)}</pre></details>"


def table(label: str, head: Sequence[str], rows: Iterable[Sequence[object]], left: bool = False) -> str:
    """Return a table that scrolls horizontally where it is too wide, also with the arrow keys.

    Args:
        label: What it shows, for screen readers.
        head: Names of the columns, plain text.
        rows: Cells; the first one names the row. Plain text, or `Cell`s.
        left: Align all columns to the left, for a table of words.
    """
    names = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{_row(row)}</tr>" for row in rows)
    align = ' class="left"' if left else ""
    return (
        f'<div class="wide" role="region" aria-label="{html.escape(label)}" tabindex="0">'
        f"<table{align}><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>"
    )


class Cell(str):
    """The finished HTML of a table cell, `<td …>…</td>`."""

    __slots__ = ()


def _row(cells: Sequence[object]) -> str:
    first, *others = cells
    head = first if isinstance(first, Cell) else f'<th scope="row">{html.escape(str(first))}</th>'
    return str(head) + "".join(
        cell if isinstance(cell, Cell) else f"<td>{html.escape(str(cell))}</td>" for cell in others
    )


Color = tuple[int, int, int]
FULL: Color = (0, 90, 156)
ERRORS: Color = (213, 94, 0)


def shaded(text: str, share: float, title: str, full: Color = FULL) -> Cell:
    """Return a table cell that is the more coloured, the larger the share.

    Args:
        text: HTML.
        share: In [0, 1]: 0 is white, 1 the full color.
        title: Tooltip, escaped already.
        full: RGB.
    """
    background = shade(share, full)
    color = max(((0, 0, 0), (255, 255, 255)), key=lambda ink: contrast(ink, background))
    style = f"background:rgb{background};color:rgb{color}".replace(" ", "")
    return Cell(f'<td style="{style}" title="{title}">{text}</td>')


def shade(share: float, full: Color = FULL) -> Color:
    """Return the background color of a share, as RGB.

    Example:
        >>> shade(0.0), shade(1.0)
        ((255, 255, 255), (0, 90, 156))
    """
    red, green, blue = (round(255 + share * (part - 255)) for part in full)
    return red, green, blue


def contrast(first: Color, second: Color) -> float:
    """Return the contrast ratio of two colors, 1 to 21, as WCAG 2.2 defines it.

    Example:
        >>> contrast((0, 0, 0), (255, 255, 255))
        21.0
    """
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: Color) -> float:
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
