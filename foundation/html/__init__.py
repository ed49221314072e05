"""Self-contained HTML pages, for screens from 400 px, print and keyboard; open `document.py` first."""

from foundation.html.document import document, section
from foundation.html.elements import details, note, table
from foundation.html.svg import svg

__all__ = ["details", "document", "note", "section", "svg", "table"]
