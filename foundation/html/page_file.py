"""Write an HTML page whose faults lose no result: what cannot be made is named in one line and left out."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from foundation.errors import TRACEBACK_SWITCH
from foundation.files import replacing
from foundation.html.document import Section, document, section
from foundation.html.elements import note
from foundation.processes import say

T = TypeVar("T")


def write_page(file: Path, make: Callable[[], str]) -> None:
    """Write a page; if it cannot be made, write one that says so. Call this after all results have been written.

    Args:
        file: In a folder that exists.
        make: Returns the page's HTML.

    Raises:
        OSError: The file cannot be written.
    """
    try:
        text = make()
    except Exception as error:
        reason = _reason(error)
        say(f"{file.name} could not be made ({reason}); the other files are complete.")
        lead = note(f"This page could not be made: {reason}. The other files in this folder are complete.")
        text = document(file.stem.capitalize(), "", lead, [])
    with replacing(file) as part:
        part.write_text(text, "utf-8", "backslashreplace")


def drawn_or_none(name: str, draw: Callable[[], T]) -> T | None:
    """Return what was drawn, or `None`, after a line with the reason, if it cannot be.

    Args:
        name: What the page lacks then.
        draw: Draws it.

    Example:
        >>> drawn_or_none("half", lambda: 1 / 2)
        0.5
    """
    try:
        return draw()
    except OSError:  # a full disk is no fault of the figure
        raise
    except Exception as error:
        say(f"the page lacks the figure {name} ({_reason(error)}); the tables are complete.")
        return None


def sections_of(name: str, title: str, make: Callable[[], Section | Sequence[Section]]) -> list[Section]:
    """Make a part of a page; if that fails, return a section that gives the reason, so that the rest is shown.

    Args:
        name: The `id` of the section that takes the place of a failed part.
        title: Its heading.
        make: Returns the section, or several.

    Example:
        >>> sections_of("half", "Half", lambda: section("half", "Half", f"{1 / 2}"))[0].body
        '0.5'
    """
    try:
        made = make()
    except Exception as error:
        reason = _reason(error)
        say(f"the page lacks “{title}” ({reason}); the tables are complete.")
        return [section(name, title, note(f"This part of the page could not be made: {reason}."))]
    return [made] if isinstance(made, Section) else list(made)


def _reason(error: Exception) -> str:
    """Return the error in one line; raise it where tracebacks are asked for."""
    if os.environ.get(TRACEBACK_SWITCH):
        raise error
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
