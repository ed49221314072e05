"""The class, name and arguments of a factory: a class, a `functools.partial`, or what LightningCLI passes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


def class_of(injected: Callable[..., Any]) -> Callable[..., Any]:
    """Return the class that a factory makes instances of.

    jsonargparse passes `partial(call, instantiate, TheClass, **arguments)`.

    Example:
        >>> class_of(partial(dict, a=1)), class_of(partial(lambda kind, **arguments: kind(**arguments), dict, a=1))
        (<class 'dict'>, <class 'dict'>)
    """
    if not isinstance(injected, partial):
        return injected
    if isinstance(injected.func, type):
        return injected.func
    return next((argument for argument in injected.args if isinstance(argument, type)), injected.func)


def arguments_of(injected: Callable[..., Any]) -> dict[str, Any]:
    """Return the arguments that a factory was given by name.

    Example:
        >>> arguments_of(partial(dict, a=1))
        {'a': 1}
    """
    return dict(injected.keywords) if isinstance(injected, partial) else {}


def name_of(injected: Callable[..., Any]) -> str:
    """Return the name of the class behind a factory.

    Example:
        >>> name_of(partial(dict, a=1))
        'dict'
    """
    return str(getattr(class_of(injected), "__name__", type(injected).__name__))
