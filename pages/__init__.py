"""Self-contained HTML pages: one file, nothing fetched, no script; for screens from 400 px, print, and the keyboard."""

from pages.document import document, section
from pages.figures import svg
from pages.parts import details, note, table
from pages.thumbnails import Budget, Picture, gallery

__all__ = ["Budget", "Picture", "details", "document", "gallery", "note", "section", "svg", "table"]
