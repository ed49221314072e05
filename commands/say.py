"""A word to the person at the command line."""

import sys


def say(line: str) -> None:
    """One line about something that was replaced, left out or passed over, on standard error."""
    print(line, file=sys.stderr, flush=True)
