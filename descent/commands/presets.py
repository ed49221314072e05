"""`descent presets`: list the shipped configs that can be chosen by a short name."""

import re
from itertools import takewhile
from textwrap import fill, indent, shorten

from descent.commands.parser import CommandParser, print_json
from descent.presets import SHIPPED, kinds, names
from foundation.suggestions import suggest
from foundation.terminal.folding import fitted, folded, terminal_width

USAGE = """\
usage: descent presets [KIND...] [--json]

Lists the shipped presets by kind.

  KIND      losses, optimizers, schedulers, networks, data, augmentations, callbacks, studies, …:
            list these only
  --json    print the list as JSON, for programs
"""
CLOSING = """
Train one of the experiments with descent fit -c configs/NAME, choose a part with --model.loss losses/focal.yaml.
`descent presets losses` lists one kind.\
"""
WIDEST = 160  # columns where the output is no terminal
LEAST = 30  # columns for a description beside the name


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
        print(grouped(listed, terminal_width() or WIDEST))
        if not wanted and terminal_width() is not None:  # for people; programs get the list alone
            print(fitted(CLOSING))


def grouped(listed: dict[str, str], width: int) -> str:
    """Return the presets of each kind below a heading, whole experiments first, with descriptions that fit the width.

    Example:
        >>> print(grouped({"losses/mse.yaml": "Mean squared error of each value", "gan.yaml": "A GAN"}, 40))
        experiments
          gan.yaml  A GAN
        <BLANKLINE>
        losses
          losses/mse.yaml  Mean squared error of
                           each value
    """
    kinds_listed = dict.fromkeys(name.rpartition("/")[0] for name in sorted(listed, key=lambda name: "/" in name))
    return "\n\n".join(
        "\n".join([kind or "experiments", *table(kind_presets, width)])
        for kind in kinds_listed
        if (kind_presets := {name: text for name, text in listed.items() if name.rpartition("/")[0] == kind})
    )


def table(listed: dict[str, str], width: int) -> list[str]:
    """Return the presets of a kind, each with its description beside it, or below it where the terminal is narrow."""
    longest = max(len(name) for name in listed)
    if width - longest - 4 >= LEAST:
        return [folded(f"  {name:<{longest}}  {text}", width) for name, text in listed.items()]
    return [
        f"  {name}\n{indent(fill(text, width - 4, break_on_hyphens=False), ' ' * 4)}" for name, text in listed.items()
    ]


def summary(name: str) -> str:
    """Return the first sentence of a preset's opening comment, or two if the first is short; at most 200 characters."""
    lines = takewhile(lambda line: line.startswith("#"), (SHIPPED / name).read_text(encoding="utf-8").splitlines())
    first, *others = re.split(r"(?<=[.;])\s", " ".join(line.lstrip("# ").strip() for line in lines))
    text = f"{first} {others[0]}" if len(first) < 25 and others else first
    return shorten(text.rstrip(";."), 200, placeholder=" …")
