"""What the commands share: their argument parser, and JSON output."""

import argparse
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from foundation.errors import error_line
from foundation.terminal.folding import reflowed, terminal_width

CHECKPOINT = "a checkpoint, a run's folder (its best checkpoint) or an experiment's folder (its newest run)"
KEYS = (
    "--seed_everything", "--trainer", "--model", "--data", "--checkpoint", "--config", "--experiment", "--preflight",
    "--compile", "--target", "--weights_only", "--verbose", "--ckpt_path",
)  # fmt: skip
"""The keys of a config that have no dot."""


class CommandParser(argparse.ArgumentParser):
    """argparse's parser with a help text of its own, and one-line errors with exit code 2.

    Args:
        command: Name of the command, e.g. `show losses`.
        help_text: Printed by `--help`.
    """

    def __init__(self, command: str, help_text: str) -> None:
        super().__init__(f"descent {command}", allow_abbrev=False)
        self.help_text = help_text

    def format_help(self) -> str:
        """Return the command's help text, folded to the terminal."""
        return reflowed(self.help_text, terminal_width())

    def add_checkpoint(self) -> None:
        """Add `--ckpt_path`, which the command needs, and `--out`."""
        self.add_argument("--ckpt_path")
        self.add_argument("--out", type=Path)

    def add_json(self) -> None:
        """Add `--json`."""
        self.add_argument("--json", action="store_true")

    def parse_with_overrides(self, args: list[str], of_run: bool = True) -> tuple[argparse.Namespace, list[str]]:
        """Parse the command's own options; all other arguments are changes to a config.

        Without any argument, print the help.

        Args:
            args: The words after the command.
            of_run: Whether the config is a run's, whose keys without a dot are known here.
        """
        options, overrides = self.parse_known_args(args or ["--help"])
        if "ckpt_path" in options and options.ckpt_path is None:
            self.error(f"{self.prog} needs --ckpt_path: {CHECKPOINT}, e.g. runs/quickstart.")
        if of_run:
            self._refuse_misspelt(overrides)
        return options, overrides

    def _refuse_misspelt(self, overrides: list[str]) -> None:
        """Refuse what is no key of a config but similar to an option of the command."""
        from foundation.suggestions import did_you_mean

        own = [option for option in options_in(self.help_text) if "." not in option]
        for word in overrides:
            name = word.partition("=")[0]
            if name.startswith("--") and "." not in name and name not in (*own, *KEYS):
                text = did_you_mean(name, [*own, *KEYS], cutoff=0.75)
                if text and text == did_you_mean(name, own, cutoff=0.75):  # nearer than every key
                    self.error(f"unknown argument {name}. D{text[1:]}")

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, with a suggestion for an unknown option, and exit with 2."""
        from foundation.suggestions import suggest

        text = message.removeprefix("argument ")
        if text.startswith("unrecognized arguments: "):
            first = text.removeprefix("unrecognized arguments: ").split()[0]
            text = f"unknown argument {first}.{suggest(first.partition('=')[0], options_in(self.help_text))}"
        text = re.sub(r"^(\S+): invalid (\w+) value: '(.*)'$", _typed, text, flags=re.DOTALL)
        refuse(f"{text}{'' if text[-1] in '.?' else '.'} ({self.prog} --help)")


def _typed(found: re.Match[str]) -> str:
    kind = {"int": "an integer", "float": "a number"}.get(found[2], f"a {found[2]}")
    return f"{found[1]} must be {kind}, got {found[3] or 'an empty text'}"


def options_in(text: str) -> list[str]:
    """Return the options that a help text or an `add_argument` call names.

    Example:
        >>> options_in("--out FOLDER  where to write; --KEY VALUE: a key, e.g. --data.batch_size 4")
        ['--data.batch_size', '--out']
    """
    return sorted(set(re.findall(r'(?:^|[\s"(,])(--[a-z][a-z_.]*[a-z])\b', text)))


def refuse(text: str) -> NoReturn:
    """Print a one-line error and exit with 2."""
    print(error_line(text), file=sys.stderr)
    raise SystemExit(2)


def print_json(value: Any) -> None:
    """Print a value as JSON, for programs; numbers that are not finite become null."""
    from foundation.files import strict_json

    print(strict_json(value))
