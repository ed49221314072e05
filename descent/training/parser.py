"""The argument parser: errors of one or two lines, help that fits a screen."""

import argparse
import os
import sys
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from descent import presets
from descent.training.parse_errors import explain
from foundation.compat.argument_parsers import argument_names


class Parser(LightningArgumentParser):
    """LightningCLI's parser with messages and help for people."""

    short_help: str | None = None
    """Text of `--help`; the full list of options is `--help_all`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("parser_mode", presets.register())
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong in one or two lines and exit with 2."""
        parser = getattr(ex, "subcommand_parser", None) or self
        if not self.exit_on_error:
            super().error(message, ex)
        if os.environ.get("DESCENT_TRACEBACK"):
            sys.stderr.write(message + "\n")
        sys.stderr.write(f"error: {explain(message, sorted(argument_names(parser)))}\n")
        self.exit(2)

    def format_help(self, formatter: argparse.HelpFormatter | None = None) -> str:
        """The short help where there is one."""
        return self.short_help or super().format_help(formatter)

    def show_all_options(self) -> None:
        """Offer `--help_all`, which prints what `--help` leaves out."""
        self.add_argument("--help_all", action=HelpAll, help="Show every option and exit.")


class HelpAll(argparse.Action):
    """Prints the full help."""

    def __init__(self, option_strings: list[str], dest: str = argparse.SUPPRESS, **kwargs: Any) -> None:
        super().__init__(
            option_strings, dest=argparse.SUPPRESS, default=argparse.SUPPRESS, nargs=0, help=kwargs.get("help")
        )

    def __call__(self, parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> None:
        """Print and leave."""
        sys.stdout.write(LightningArgumentParser.format_help(parser))  # type: ignore[arg-type]
        parser.exit()
