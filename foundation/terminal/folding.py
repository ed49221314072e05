"""Break long lines between words, so that they fit the terminal and continue below their own text."""

import re
import shutil
import sys
import textwrap
from typing import TextIO

TITLE = re.compile(r" *\S+(?: \S+)* {2,}(?=\S)")
"""The title before a line's text, `run folder  runs/…`, or the beginning of a row of a table."""
WIDEST_TITLE = 0.5  # of the terminal; what is wider leaves no room for a column of its own


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Return the columns of the terminal that a stream goes to; `None` for a file or a pipe.

    Args:
        stream: By default standard output.
    """
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else None


def folded(line: str, width: int | None) -> str:
    """Break a line between words, but not between a name and its number, and go on below the first word of its text.

    A word that is longer than the terminal is not broken: it may be a path.

    Args:
        line: One line.
        width: Columns of the terminal; `None`: the line stays as it is.

    Example:
        >>> print(folded("validation  accuracy 0.9862, accuracy_top5 1.0000; best val/loss 0.0822", 40))
        validation  accuracy 0.9862,
                    accuracy_top5 1.0000; best
                    val/loss 0.0822
        >>> print(folded("A sentence has no title.", 20))
        A sentence has no
        title.
    """
    if width is None or len(line) <= width:
        return line
    column = text_column(line)
    indent = column if column <= WIDEST_TITLE * width else len(line) - len(line.lstrip()) + 2
    held = re.sub(r"(?<=[^\s,;]) (?=-?(\d|inf\b|nan\b))", "\xa0", line[column:])
    lines = textwrap.wrap(
        held, width, initial_indent=" " * column, subsequent_indent=" " * indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return line[:column] + "\n".join(lines)[column:].replace("\xa0", " ")


def text_column(line: str) -> int:
    """Return the column at which a line's text begins, behind its title or its indentation.

    Example:
        >>> text_column("report      report.html"), text_column("    indented"), text_column("A sentence.")
        (12, 4, 0)
    """
    title = TITLE.match(line)
    return title.end() if title is not None else len(line) - len(line.lstrip())


def reflowed(text: str, width: int | None) -> str:
    r"""Fold a help text that was written for a wide terminal; lines that continue others are joined with them first.

    Args:
        text: Paragraphs, and options with their descriptions in a second column.
        width: Columns of the terminal; `None`: the text stays as it is.

    Example:
        >>> print(reflowed("  --json    print the list as JSON,\n            for programs", 30))
          --json    print the list as
                    JSON, for programs
    """
    if width is None or all(len(line) <= width for line in text.split("\n")):
        return text
    joined: list[str] = []
    for line in text.split("\n"):
        before = joined[-1] if joined else ""
        continues = TITLE.match(line) is None and line.strip() and before.strip()
        if continues and text_column(line) == text_column(before) and not before.startswith("usage"):
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line)
    return "\n".join(folded(line, width) for line in joined)


def fitted(text: str, stream: TextIO | None = None) -> str:
    """Fold each line of a text that is wider than the terminal of a stream, by default standard output."""
    width = terminal_width(stream)
    return "\n".join(folded(line, width) for line in text.split("\n"))
