"""`descent presets`: what can be chosen by a short name, one line each."""

import json
import re
from itertools import takewhile
from textwrap import shorten

from descent.commands.parser import LightParser
from descent.presets import SHIPPED, names
from descent.training.parse_errors import suggest


def main(args: list[str]) -> None:
    """Print every shipped preset with the first line of its comment.

    Args:
        args: Kinds to show, e.g. `["losses"]`, all by default; `--json` for programs.

    Raises:
        SystemExit: With 2 for a kind that there isn't.
    """
    parser = LightParser("descent presets", "List what can be chosen by a short name, one line each.")
    parser.add_argument("kinds", nargs="*", help=f"of these kinds only: {', '.join(kinds())}")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    given = parser.parse_args(args)
    wanted = [kind.strip("/") for kind in given.kinds]
    for kind in wanted:
        if kind not in kinds():
            parser.error(f"no presets of the kind {kind}: there are {', '.join(kinds())}.{suggest(kind, kinds())}")
    shown = [name for name in names() if not wanted or name.partition("/")[0] in wanted]
    if given.json:
        print(json.dumps([{"name": name, "summary": summary(name)} for name in shown], indent=2, ensure_ascii=False))
        return
    for name in shown:
        print(f"{name:<36} {summary(name)}")


def kinds() -> list[str]:
    """The kinds of presets; what is of none is a whole experiment."""
    return sorted({name.partition("/")[0] for name in names() if "/" in name})


def summary(name: str) -> str:
    """First sentence of a preset's opening comment, or two if the first is a name alone; at most a line."""
    lines = takewhile(lambda line: line.startswith("#"), (SHIPPED / name).read_text().splitlines())
    first, *others = re.split(r"(?<=[.;])\s", " ".join(line.lstrip("# ").strip() for line in lines))
    text = f"{first} {others[0]}" if len(first) < 25 and others else first
    return shorten(text.rstrip(";."), 110, placeholder=" …")
