"""The parser of the commands that need no trainer: one line for a mistake, options in full, help that fits a screen."""

import argparse
import sys
from typing import Any, NoReturn


class LightParser(argparse.ArgumentParser):
    """argparse's parser, whose errors are one line with exit code 2.

    Args:
        command: Its name, e.g. `descent guide`.
        description: What it does.
        **options: argparse's own.
    """

    def __init__(self, command: str, description: str | None = None, **options: Any) -> None:
        super().__init__(command, description=description, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and what comes near an option that there isn't."""
        from commands.messages import suggest

        text = message.removeprefix("argument ")
        if text.startswith("unrecognized arguments: "):
            first = text.removeprefix("unrecognized arguments: ").split()[0]
            known = [option for action in self._actions for option in action.option_strings]
            text = f"unknown argument {first}.{suggest(first.partition('=')[0], known)}"
        print(f"error: {text}{'' if text[-1] in '.?' else '.'} ({self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)
