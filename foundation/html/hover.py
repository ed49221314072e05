"""Hover texts in figures: an artist of matplotlib gets a `<title>` in the page's SVG, which browsers show as a tip."""

import html
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARK = "hover-"


def hover(artist: Any, text: str, group: int = 0) -> None:
    """Give an artist a text that a page shows while the pointer is on it.

    Args:
        artist: A line, marker, band or text of a figure.
        text: What it says.
        group: Number of the thing that it belongs to, by which `hiding` finds it.
    """
    artist.set_gid(f"{MARK}{group}-{id(artist)}")
    artist.set_label(f"_{text}")  # a label with an underscore is in no legend


def number_marks(figure: "Figure") -> dict[str, str]:
    """Give the marked artists numbers, so that the same figure gives the same bytes; return each one's text."""
    texts: dict[str, str] = {}
    for artist in figure.findobj(lambda found: str(found.get_gid() or "").startswith(MARK)):
        group = str(artist.get_gid()).split("-")[1]
        identifier = f"{MARK}{group}-{len(texts)}"
        artist.set_gid(identifier)
        texts[identifier] = str(artist.get_label())[1:]
    return texts


def with_titles(svg: str, texts: dict[str, str]) -> str:
    """Insert the hover texts into an SVG."""

    def titled(found: re.Match[str]) -> str:
        return f"{found[0]}<title>{html.escape(texts[found[1]])}</title>"

    return re.sub(rf'<g id="({MARK}[\d-]+)"[^>]*>', titled, svg)


def hiding(group: int) -> str:
    """Return the CSS selector of everything that belongs to a group, in all figures of a page."""
    return f'[id*="-{MARK}{group}-"]'
