"""The exception for a user's mistake, and the line that tells one."""

import os
import sys

TRACEBACK_SWITCH = "DESCENT_TRACEBACK"
"""Environment variable that shows the traceback of an error that is told in one line."""


class UserError(Exception):
    """A mistake in a config, an argument or the data; the message says what was found, what was expected, what to do.

    The command line prints the message in one line and ends with exit code 2. Constructors raise `ValueError` for a
    value out of range; this is for what only shows later, with the data, the trainer or a file at hand.
    """


def error_line(text: str, who: str = "") -> str:
    """Return the line for standard error: `error: …`, with the first word in red on a terminal with colours.

    Args:
        text: What is wrong.
        who: Which of several processes says it, such as ` (rank 1)`.

    Example:
        >>> error_line("lr must be > 0.", " (rank 1)")
        'error (rank 1): lr must be > 0.'
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") in (None, "dumb") or not sys.stderr.isatty()
    return f"error{who}: {text}" if plain else f"\x1b[1;31merror{who}:\x1b[0m {text}"
