"""Refuse a null where the type of an argument has none: jsonargparse lets a null inside a class's arguments pass."""

import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from jsonargparse import Namespace

from descent.config_errors.numbers import nodes, typed_key
from descent.config_errors.types import classes_of, in_words, members
from foundation.compat.signatures import Argument, signature_of
from foundation.errors import UserError


def check_nulls(config: Namespace, arguments: Mapping[str, Argument], links: Iterable[str]) -> None:
    """Refuse the nulls of a config that no type allows.

    Args:
        config: The config of a command, with the defaults of all classes.
        arguments: The parser's own arguments.
        links: Arguments that are filled in when the objects are built, without `init_args`.

    Raises:
        UserError: An argument is null although its type has no null and its default is another; the message names it.
    """
    for path, argument in arguments.items():
        if config.get(path, "") is None:
            _check(path, argument)
    filled = set(links)
    for path, node in nodes(config):
        class_path, inside = node.get("class_path"), node.get("init_args")
        if not isinstance(class_path, str) or not isinstance(inside, (Namespace, Mapping)):
            continue
        for name, value in (vars(inside) if isinstance(inside, Namespace) else inside).items():
            key = f"{typed_key(path)}.{name}"
            if value is None and key not in filled and not _is_default(class_path, name):
                _check(key, _signature(class_path).get(name, Argument(None)))


def _check(key: str, argument: Argument) -> None:
    if not accepts_null(argument):
        kind = argument.type
        raise UserError(f"{key} must be {in_words(kind)}, got null." + (" Remove it." if classes_of(kind) else ""))


def accepts_null(argument: Argument) -> bool:
    """Return whether an argument may be null: by its type, by its default, or because it has no type."""
    known = [kind for kind in members(argument.type) if kind in (None, type(None), Any)]
    return bool(known) or (argument.default is None and not argument.required)


@cache
def _target(class_path: str) -> Any:
    module, _, name = class_path.rpartition(".")
    return getattr(import_module(module), name, None) if module else None


@cache
def _signature(class_path: str) -> dict[str, Argument]:
    target = _target(class_path)
    return signature_of(target) if callable(target) else {}


def _is_default(class_path: str, name: str) -> bool:
    """Whether the constructor itself says that an argument is null by default; much faster than `signature_of`."""
    target = _target(class_path)
    try:
        parameter = inspect.signature(target).parameters.get(name)
    except (TypeError, ValueError):
        return False
    return parameter is not None and parameter.default is None
