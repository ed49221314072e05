"""matplotlib figures as SVG inside an HTML page."""

import html
import io
import re
from typing import TYPE_CHECKING

from foundation.html.hover import number_marks, with_titles

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def svg(figure: "Figure", name: str, label: str) -> str:
    """Return a figure as SVG for a page, with unique identifiers; the same figure gives the same bytes.

    Artists that are marked by `hover` get their text as a `<title>`.

    Args:
        figure: The figure.
        name: Prefix of its identifiers, unique on the page.
        label: What it shows, for screen readers.
    """
    import matplotlib as mpl

    target, texts = io.StringIO(), number_marks(figure)
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = with_titles(text, texts)
    text = re.sub(r'\b(id=")', rf"\1{name}-", text)
    text = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{name}-", text)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', text, count=1)


def captioned(figure: "Figure", name: str, caption: str) -> str:
    """Return a figure with a caption; see `svg`."""
    return f'<figure id="{name}">{svg(figure, name, caption)}<figcaption>{html.escape(caption)}</figcaption></figure>'
