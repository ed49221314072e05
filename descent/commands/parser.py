"""The parser of the commands that need no trainer: one line for a mistake, options in full, help that fits a screen."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from descent.allocator import tune_allocator
from descent.training.mistakes import mistakes_in_one_line
from foundation.compat.argument_parsers import option_strings


def parser(command: str) -> argparse.ArgumentParser:
    """A parser that takes `--ckpt_path` and `--out`, and leaves what else is typed to the run's config."""
    made = argparse.ArgumentParser(prog=f"descent {command}", add_help=False, allow_abbrev=False, exit_on_error=False)
    made.add_argument("--ckpt_path")
    made.add_argument("--out", type=Path)
    return made


def parse(made: argparse.ArgumentParser, words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the words that are left.

    Raises:
        SystemExit: With 2 where an option lacks its value, or there is no checkpoint.
    """
    try:
        known, rest = made.parse_known_args(words)
    except argparse.ArgumentError as error:
        refuse(str(error).removeprefix("argument "))
    if known.ckpt_path is None:
        refuse(
            f"{made.prog} needs --ckpt_path: a checkpoint, a run's folder (its best), or an experiment's folder "
            "(its newest run), e.g. runs/quickstart."
        )
    return known, rest


def refuse(text: str) -> NoReturn:
    """Say what is wrong and exit with 2."""
    print(f"error: {text}", file=sys.stderr)
    raise SystemExit(2)


def carry_out(work: Callable[[], Any]) -> Any:
    """Do a command's work; a user's mistake becomes one line and exit code 2, Ctrl+C 130.

    Args:
        work: Imports torch only when it is called, so that the allocator is tuned before.
    """
    tune_allocator()
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))  # classes of the user's own
    with mistakes_in_one_line("stopped."):
        return work()


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
        from descent.training.parse_errors import suggest

        text = message.removeprefix("argument ")
        if text.startswith("unrecognized arguments: "):
            first = text.removeprefix("unrecognized arguments: ").split()[0]
            text = f"unknown argument {first}.{suggest(first.partition('=')[0], option_strings(self))}"
        print(f"error: {text}{'' if text[-1] in '.?' else '.'} ({self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)
