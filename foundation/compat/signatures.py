"""What jsonargparse knows about a class or a parser: names of arguments, their types, and which are required.

jsonargparse resolves inherited arguments, `**kwargs` and annotations that are strings. It uses the result for its
parsers and offers no public function that returns it.
"""

import argparse
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from jsonargparse import ArgumentParser
from jsonargparse._link_arguments import get_link_actions
from jsonargparse._parameter_resolvers import get_signature_parameters


@dataclass(frozen=True)
class Argument:
    """An argument of a class, a function or a parser.

    Args:
        type: Its type; `None` if it has none.
        required: Whether it has no default.
        default: Its default; an empty text stands for none.
    """

    type: Any
    required: bool = False
    default: Any = ""


def signature_of(target: Callable[..., Any], given_by_caller: int = 0) -> dict[str, Argument]:
    """Return the arguments of a class or a function, with those that `**kwargs` passes to a base class.

    Args:
        target: A class or a function.
        given_by_caller: Number of first arguments that code gives, such as an optimizer's parameters.
    """
    parameters = get_signature_parameters(target, "__init__" if inspect.isclass(target) else None, logger=False)
    return {
        parameter.name: Argument(
            None if parameter.annotation is inspect.Parameter.empty else parameter.annotation,
            parameter.default is inspect.Parameter.empty,
            "" if parameter.default is inspect.Parameter.empty else parameter.default,
        )
        for parameter in parameters[given_by_caller:]
    }


def parser_arguments(parser: argparse.ArgumentParser) -> dict[str, Argument]:
    """Return the options of a parser that take a value of a type, as dotted names."""
    return {
        action.dest: Argument(action._typehint, default=action.default)  # type: ignore[attr-defined]
        for action in parser._actions
        if hasattr(action, "_typehint") and action.default is not argparse.SUPPRESS
    }


def linked_arguments(parser: argparse.ArgumentParser) -> set[str]:
    """Return the names, without `init_args`, of arguments that links fill in when the objects are built."""
    return {
        link.target[0].replace(".init_args", "")
        for link in get_link_actions(cast(ArgumentParser, parser), "instantiate")
    }
