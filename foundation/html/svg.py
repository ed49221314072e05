"""matplotlib figures as SVG inside an HTML page."""

import html
import io
import math
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
    COLORS[5]: "var(--sky-line)",
}
THEMED |= {TEXT_COLORS[color]: f"var(--{name})" for name, color in zip(TEXT_NAMES, COLORS[1:], strict=False)}
"""Colours that a themed figure takes from the page: they are other ones in the dark mode."""


LETTERS, PHONE = 9, 353
"""The least size of a letter, and the room for a figure on a screen of 400, both in pixels."""


def svg(figure: "Figure", name: str, label: str, titles: Sequence[str] = (), themed: bool = False) -> str:
    """Return a figure as SVG for a page, with unique identifiers; the same figure gives the same bytes.

    A figure whose letters would be too small to read on a phone keeps its size there and scrolls in a box.
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
    width = legible_width(figure)
    keeps = f'style="--legible: {width}px" ' if width > PHONE else ""
    text = re.sub(r"<svg ", f'<svg role="img" aria-label="{html.escape(label)}" {keeps}', text, count=1)
    text = _with_titles(text, f'<g id="{name}-points"', titles) if titles else text
    box = f'<div class="wide" role="region" aria-label="{html.escape(label)}" tabindex="0">'
    return f"{box}{text}</div>" if keeps else text


def legible_width(figure: "Figure") -> int:
    """Return the width in pixels from which the smallest letters of a figure that was drawn have `LETTERS` pixels."""
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    smallest = min((float(text.get_fontsize()) for text in texts), default=math.inf)
    return math.ceil(72 * figure.get_figwidth() * LETTERS / smallest)


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
