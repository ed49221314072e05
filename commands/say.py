"""A word to the person at the command line."""

import sys

from commands.ranks import rank_of_process


def say(line: str) -> None:
    """One line about something that was replaced, left out or passed over, on standard error; of several once."""
    if rank_of_process() == 0:
        print(line, file=sys.stderr, flush=True)
