"""Figures of matplotlib as SVG inside a page."""

import html
import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def svg(figure: "Figure", name: str, label: str) -> str:
    """A figure as SVG to stand inside a page, with identifiers of its own; the same bytes each time.

    Args:
        figure: The figure.
        name: Prefix of its identifiers, unique on the page.
        label: What it shows, for those who do not see it.
    """
    import matplotlib as mpl

    target = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\b(id=")', rf"\1{name}-", text)
    text = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{name}-", text)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', text, count=1)


def captioned(figure: "Figure", name: str, caption: str) -> str:
    """A figure with a caption below it; see `svg`."""
    return f'<figure id="{name}">{svg(figure, name, caption)}<figcaption>{html.escape(caption)}</figcaption></figure>'
