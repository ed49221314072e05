"""Check the values of a parsed config that its types allow and that cannot be meant."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from jsonargparse import Namespace

from descent.config_errors.given import shorten
from descent.config_errors.nulls import check_nulls
from descent.config_errors.numbers import check_numbers
from descent.config_errors.types import in_words, takes
from foundation.compat.signatures import Argument, linked_arguments, parser_arguments
from foundation.errors import UserError
from foundation.files import require_writable


def check_config(config: Namespace, parser: argparse.ArgumentParser, command: str = "fit") -> None:
    """Check nulls and numbers of a command's config before anything is built or written.

    Args:
        config: The config of the command, with the defaults of all classes.
        parser: The command's parser.
        command: The method of the Trainer.

    Raises:
        UserError: A value cannot be meant; the message names its key.
    """
    arguments = parser_arguments(parser)
    check_nulls(config, arguments, linked_arguments(parser))
    _check_collections(config, arguments)
    check_numbers(config, command)
    dirpath = str((config.get("checkpoint") or Namespace()).get("dirpath") or "")
    if command == "fit" and dirpath and "://" not in dirpath:
        require_writable(Path(dirpath).expanduser(), "--checkpoint.dirpath")


def _check_collections(config: Namespace, arguments: Mapping[str, Argument]) -> None:
    """Refuse keys or a list in place of a text or a number: jsonargparse lets them pass where a class would do too."""
    for path, argument in arguments.items():
        value = config.get(path)
        plain = value.as_dict() if isinstance(value, Namespace) else value
        keys = isinstance(plain, dict) and "class_path" not in plain
        values = isinstance(plain, list) and all(isinstance(item, (bool, int, float, str)) for item in plain)
        if (keys and not takes(argument.type, Mapping)) or (values and not takes(argument.type, Iterable)):
            raise UserError(f"{path} must be {in_words(argument.type)}, got {shorten(plain)}.")
