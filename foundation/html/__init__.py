"""Self-contained HTML pages: one file, nothing fetched, no script; for screens from 400 px, print, and the keyboard."""

from descent.inference.thumbnails import Budget, Picture, gallery
from foundation.html.document import document, section
from foundation.html.elements import details, note, table
from foundation.html.svg import svg

__all__ = ["Budget", "Picture", "details", "document", "gallery", "note", "section", "svg", "table"]
