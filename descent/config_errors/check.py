"""Check the values of a parsed config that its types allow and that cannot be meant."""

import argparse

from jsonargparse import Namespace

from descent.config_errors.nulls import check_nulls
from descent.config_errors.numbers import check_numbers
from foundation.compat.signatures import linked_arguments, parser_arguments


def check_config(config: Namespace, parser: argparse.ArgumentParser, command: str = "fit") -> None:
    """Check nulls and numbers of a command's config before anything is built or written.

    Args:
        config: The config of the command, with the defaults of all classes.
        parser: The command's parser.
        command: The method of the Trainer.

    Raises:
        UserError: A value cannot be meant; the message names its key.
    """
    check_nulls(config, parser_arguments(parser), linked_arguments(parser))
    check_numbers(config, command)
