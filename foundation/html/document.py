"""An HTML page made of sections."""

import html
from collections.abc import Sequence
from typing import NamedTuple

from foundation.html.style import STYLE


class Section(NamedTuple):
    """A section of a page, with a heading.

    Args:
        name: Its `id`, for links.
        title: The heading, plain text.
        body: HTML.
    """

    name: str
    title: str
    body: str


def section(name: str, title: str, body: str) -> Section:
    """Make a section; see `Section`."""
    return Section(name, title, body)


def document(title: str, subtitle: str, lead: str, sections: Sequence[Section]) -> str:
    """Return the HTML of a page: heading, lead, links to the sections, sections.

    Args:
        title: Plain text.
        subtitle: Plain text, the subject of the page.
        lead: HTML, the most important result.
        sections: In order.

    Example:
        >>> parts = [section("a", "First", "<p>1</p>"), section("b", "Second", "<p>2</p>")]
        >>> page = document("Cats & dogs", "2 images", "<p>All right.</p>", parts)
        >>> "<title>Cats &amp; dogs</title>" in page, '<a href="#a">First</a>' in page
        (True, True)
    """
    links = "".join(f'<li><a href="#{part.name}">{html.escape(part.title)}</a></li>' for part in sections)
    contents = f'<nav aria-label="On this page"><ul>{links}</ul></nav>' if len(sections) > 1 else ""
    parts = "".join(
        f'<section aria-labelledby="{part.name}"><h2 id="{part.name}">{html.escape(part.title)}</h2>\n'
        f"{part.body}</section>\n"
        for part in sections
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head><body>
<main>
<h1>{html.escape(title)}</h1>
<p class="sub">{html.escape(subtitle)}</p>
{lead}
{contents}
{parts}</main>
</body></html>
"""
