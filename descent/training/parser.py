"""The argument parser: a mistake gives an error of one line, `--help_all` every option."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentError
from lightning.pytorch.cli import LightningArgumentParser

import callbacks
from callbacks.checkpointing.checkpoint import DurableCheckpoint
from descent import presets
from descent.config_errors.first_mistake import explain, passed_over
from descent.config_errors.given import check_files
from descent.config_errors.own_packages import find_beside_ours
from descent.config_errors.tree import DEFAULT_CLASSES
from foundation.compat.argument_parsers import argument_names, subcommand_parser
from foundation.compat.quick_parser import QuickParser
from foundation.compat.signatures import Argument, linked_arguments, parser_arguments
from foundation.errors import TRACEBACK_SWITCH, UserError, error_line


class Parser(QuickParser):
    """LightningCLI's parser with short error messages."""

    raises = False
    """Whether a mistake raises `UserError` instead of being printed and ending the process."""

    words: Sequence[str] = ()
    """The command line that is being parsed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        find_beside_ours(Path.cwd())
        kwargs.setdefault("parser_mode", presets.register())
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Let the process that gets a copy, one of `ddp_spawn`, know the presets too: the copy writes the config."""
        presets.register()
        self.__dict__.update(state)

    def parse_args(self, args: Any = None, *rest: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Parse a command line, and keep its words for the message about a mistake in them."""
        self.words = list(sys.argv[1:] if args is None else args)
        try:
            check_files(self.words, {"trainer", "checkpoint"})
            parsed = super().parse_args(args, *rest, **kwargs)
            if line := passed_over(*self._given()):
                raise UserError(line)
            return parsed
        except (UserError, ArgumentError):
            raise
        except Exception as error:  # jsonargparse lets some errors of values and files pass
            self.error(str(error), error)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the mistake in one line and exit with code 2."""
        if not self.exit_on_error:
            super().error(message, ex)
        if os.environ.get(TRACEBACK_SWITCH):
            sys.stderr.write(message + "\n")
        text = explain(message, *self._given())
        if self.raises:
            raise UserError(text) from ex
        sys.stderr.write(f"{error_line(text)}\n")
        self.exit(2)

    def _given(self) -> tuple[Sequence[str], dict[str, Argument], set[str], set[str]]:
        """Return the words of a command, and the arguments, other options and links of its parser."""
        parser = subcommand_parser(self, self.words[0]) if self.words else self
        words = self.words[1:] if parser is not self else self.words
        return words, parser_arguments(parser), argument_names(parser), linked_arguments(parser)

    def show_all_options(self) -> None:
        """Add `--help_all`, which prints the options that `--help` leaves out."""
        self.add_argument("--help_all", action=HelpAll, help="Show every option and exit.")


class HelpAll(argparse.Action):
    """Print the full help and exit."""

    def __init__(self, option_strings: list[str], dest: str = argparse.SUPPRESS, **kwargs: Any) -> None:
        super().__init__(
            option_strings, dest=argparse.SUPPRESS, default=argparse.SUPPRESS, nargs=0, help=kwargs.get("help")
        )

    def __call__(self, parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> None:
        """Print and exit."""
        sys.stdout.write(parser.format_help())
        parser.exit()


LINKS = {
    "network.init_args.num_classes": "num_classes", "network.init_args.in_channels": "channels",
    "generator.init_args.channels": "channels", "discriminator.init_args.channels": "channels",
}  # fmt: skip
"""The data's attribute by the argument of the module that it fills in."""
DEFAULT_MODULE = {"class_path": DEFAULT_CLASSES["model"]}

for _name in callbacks.__all__:  # a config may name one without its package once it is imported
    getattr(callbacks, _name)


def add_run_arguments(parser: LightningArgumentParser) -> None:
    """Add `--experiment`, `--target`, `--preflight`, …, and the links from the data to the networks."""
    parser.add_argument(
        "--experiment",
        type=str | None,
        default=None,
        help="Name of the experiment; by default that of the config file. The run's folder is ROOT/EXPERIMENT/N.",
    )
    parser.add_argument(
        "--preflight",
        type=bool,
        default=True,
        help="Check the first batch for mistakes: probabilities for logits, targets that broadcast, …",
    )
    parser.add_argument(
        "--compile",
        type=bool,
        default=False,
        help="Compile network and loss with torch.compile while fit runs.",
    )
    parser.add_argument(
        "--target",
        type=str | None,
        default=None,
        help="End the run when a validation metric has reached a value, and tell in how many seconds and samples: "
        "val/accuracy=0.90.",
    )
    parser.add_lightning_class_args(DurableCheckpoint, "checkpoint")
    parser.set_defaults({"model": DEFAULT_MODULE, "trainer.default_root_dir": "runs"})
    for target, source in LINKS.items():
        parser.link_arguments(f"data.{source}", f"model.init_args.{target}", apply_on="instantiate")
