"""Private parts of argparse, and of jsonargparse's parser, which derives from it."""

import argparse


def argument_names(parser: argparse.ArgumentParser) -> set[str]:
    """Return the names of a parser's arguments, and its subcommands; argparse has no public list of them."""
    names = {action.dest for action in parser._actions if action.dest not in ("help", argparse.SUPPRESS, None, "")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            names |= set(action.choices)
    return names
