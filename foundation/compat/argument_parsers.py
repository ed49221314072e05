"""Private parts of argparse, and of jsonargparse's parser, which derives from it."""

import argparse


def subcommand_parser(parser: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    """Return the parser of a subcommand, or the parser itself if it has none of that name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and name in action.choices:
            return action.choices[name]
    return parser


def argument_names(parser: argparse.ArgumentParser) -> set[str]:
    """Return the names of a parser's arguments, and its subcommands; argparse has no public list of them."""
    names = {action.dest for action in parser._actions if action.dest not in ("help", argparse.SUPPRESS, None, "")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            names |= set(action.choices)
    return names


NOT_SERIALIZED = "Unable to serialize instance "
"""Begins the value that jsonargparse's `dump` writes for an object that it cannot serialize, beside a warning."""
