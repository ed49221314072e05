"""`descent presets`: what can be chosen by a short name, one line each."""

import re
from itertools import takewhile
from textwrap import shorten

from commands.presets import SHIPPED, names


def main(args: list[str]) -> None:
    """Print every shipped preset with the first line of its comment.

    Args:
        args: Kinds to show, e.g. `["losses"]`; all by default.
    """
    for name in names():
        if args and not any(name.startswith(kind.rstrip("/") + "/") for kind in args):
            continue
        print(f"{name:<36} {summary(name)}")


def summary(name: str) -> str:
    """First sentence of a preset's opening comment, or two if the first is a name alone; at most a line."""
    lines = takewhile(lambda line: line.startswith("#"), (SHIPPED / name).read_text().splitlines())
    first, *others = re.split(r"(?<=[.;])\s", " ".join(line.lstrip("# ").strip() for line in lines))
    text = f"{first} {others[0]}" if len(first) < 25 and others else first
    return shorten(text.rstrip(";."), 110, placeholder=" …")
