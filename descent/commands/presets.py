"""`descent presets`: list the shipped configs that can be chosen by a short name."""

import re
import shutil
import sys
from itertools import takewhile
from textwrap import shorten

from descent.commands.parser import CommandParser, print_json
from descent.presets import SHIPPED, kinds, names
from foundation.suggestions import suggest

USAGE = """\
usage: descent presets [KIND...] [--json]

Lists the shipped presets, one line each.

  KIND      losses, optimizers, schedulers, networks, data, augmentations, callbacks, studies, …:
            list these only
  --json    print the list as JSON, for programs
"""
WIDEST = 160  # columns where the output is no terminal
LEAST = 20  # columns for a description


def main(args: list[str]) -> None:
    """Print every preset with the first sentence of its comment; `args` are the words after `descent presets`."""
    parser = CommandParser("presets", USAGE)
    parser.add_argument("kinds", nargs="*")
    parser.add_json()
    options = parser.parse_args(args)
    wanted = [kind.strip("/") for kind in options.kinds]
    for kind in wanted:
        if kind not in kinds():
            parser.error(f"no presets of the kind {kind}: there are {', '.join(kinds())}.{suggest(kind, kinds())}")
    listed = {name: summary(name) for name in names() if not wanted or name.partition("/")[0] in wanted}
    if options.json:
        print_json([{"name": name, "summary": text} for name, text in listed.items()])
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST
        print("\n".join(table(listed, columns)))


def table(listed: dict[str, str], columns: int) -> list[str]:
    """Return a line per preset that fits the terminal; where little room is left, only the names.

    Example:
        >>> table({"losses/mse.yaml": "Mean squared error of each value"}, 46)
        ['losses/mse.yaml  Mean squared error of each …']
    """
    width = max((len(name) for name in listed), default=0) + 2
    if columns - width < LEAST:
        return list(listed)
    return [f"{name:<{width}}{shorten(text, columns - width, placeholder=' …')}" for name, text in listed.items()]


def summary(name: str) -> str:
    """Return the first sentence of a preset's opening comment, or two if the first is short; at most one line."""
    lines = takewhile(lambda line: line.startswith("#"), (SHIPPED / name).read_text(encoding="utf-8").splitlines())
    first, *others = re.split(r"(?<=[.;])\s", " ".join(line.lstrip("# ").strip() for line in lines))
    text = f"{first} {others[0]}" if len(first) < 25 and others else first
    return shorten(text.rstrip(";."), 110, placeholder=" …")
