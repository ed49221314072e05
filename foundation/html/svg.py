"""matplotlib figures as SVG inside an HTML page."""

import html
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from foundation.figure_style import COLORS, MUTED, TEXT_COLORS
from foundation.html.hover import number_marks, with_titles
from foundation.html.style import TEXT_NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


THEMED = {
    "#000000": "currentColor",
    "#1b1b1b": "currentColor",
    MUTED: "var(--soft)",
    "#a63d00": "var(--error)",
    COLORS[0]: "var(--blue)",
}
THEMED |= {TEXT_COLORS[color]: f"var(--{name})" for name, color in zip(TEXT_NAMES, COLORS[1:], strict=False)}
"""Colours that a themed figure takes from the page: they are other ones in the dark mode."""


def svg(figure: "Figure", name: str, label: str, titles: Sequence[str] = (), themed: bool = False) -> str:
    """Return a figure as SVG for a page, with unique identifiers; the same figure gives the same bytes.

    Artists that are marked by `hover` get their text as a `<title>`.

    Args:
        figure: The figure.
        name: Prefix of its identifiers, unique on the page.
        label: What it shows, for screen readers.
        titles: Plain text that appears over each point of the scatter plot whose ``gid`` is ``points``.
        themed: Draw what is black, muted, dark red, blue or a coloured text in the page's own colours, and leave the
            background to the page; for a `figure` of the class `themed`, which then follows the dark mode.
    """
    import matplotlib as mpl

    target, texts = io.StringIO(), number_marks(figure)
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None}, transparent=themed)
    text = target.getvalue()
    if themed:
        for color, of_page in THEMED.items():
            text = text.replace(color.lower(), of_page)
    text = text[text.index("<svg") :]
    text = with_titles(text, texts)
    text = re.sub(r'\b(id=")', rf"\1{name}-", text)
    text = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', text, count=1)
    return _with_titles(text, f'<g id="{name}-points"', titles) if titles else text


def _with_titles(text: str, group: str, titles: Sequence[str]) -> str:
    """Put a title into each point of a group; a browser shows it where the mouse is."""
    before, start, points = text.partition(group)
    for title in titles:
        shape, point, points = points.partition("<use ")
        attributes, end, points = points.partition("/>")
        start += f"{shape}{point}{attributes}><title>{html.escape(title)}</title></use>" if end else shape
    return before + start + points


def captioned(figure: "Figure", name: str, caption: str, titles: Sequence[str] = ()) -> str:
    """Return a figure with a caption, which follows the page's dark mode; see `svg`."""
    drawn = svg(figure, name, caption, titles, themed=True)
    return f'<figure class="themed" id="{name}">{drawn}<figcaption>{html.escape(caption)}</figcaption></figure>'
