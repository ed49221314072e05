"""A parser of jsonargparse that judges each part of a config once.

jsonargparse adapts a class's arguments when they are given, when defaults are filled in, and when the result is
checked, and each time all that lies below. Two thirds of its questions have been answered before in the same parse.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from inspect import isroutine
from pathlib import PurePath
from typing import Any

from jsonargparse import Namespace
from jsonargparse._common import lenient_check, load_value_mode, nested_links, parsing_defaults
from jsonargparse._namespace import recreate_branches
from jsonargparse._paths import Path, _current_path_dir
from jsonargparse._typehints import allow_default_instance, sub_defaults
from lightning.pytorch.cli import LightningArgumentParser

CONTEXT = (
    allow_default_instance, lenient_check, load_value_mode, nested_links, parsing_defaults, sub_defaults,
    _current_path_dir,
)  # fmt: skip
"""What jsonargparse's answer depends on beside the arguments of a call."""

_answers: ContextVar[dict[Any, Any] | None] = ContextVar("_answers", default=None)


class QuickParser(LightningArgumentParser):
    """LightningCLI's parser, which keeps what it has found until the outermost call returns.

    Files that a value names are read once then, and nothing is kept from one command to the next.
    """

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        """Parse a command line."""
        with _remembering():
            return super().parse_args(*args, **kwargs)

    def dump(self, *args: Any, **kwargs: Any) -> str:
        """Return a config as text."""
        with _remembering():
            return super().dump(*args, **kwargs)

    def parse_object(self, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Parse a config, or the arguments of a class in it."""
        with _remembering() as answers:
            key = self._key("parse_object", obj, args, kwargs)
            if key is None:
                return super().parse_object(obj, *args, **kwargs)
            if key not in answers:
                answers[key] = super().parse_object(obj, *args, **kwargs)
            return recreate_branches(answers[key])

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Raise an error if a config does not conform with the parser."""
        with _remembering() as answers:
            key = self._key("validate", args, kwargs)
            if key is None or key not in answers:
                super().validate(*args, **kwargs)
            if key is not None:
                answers[key] = None

    def _key(self, *question: Any) -> Any:
        """Return what an answer depends on; None if that cannot be said."""
        try:
            # The parser itself, which is kept by this: the number of one that is gone may be another's.
            return self, frozen(question), frozen([variable.get() for variable in CONTEXT])
        except TypeError:
            return None


@contextmanager
def _remembering() -> Iterator[dict[Any, Any]]:
    """Yield the answers that were given since the outermost call began."""
    answers = _answers.get()
    if answers is not None:
        yield answers
        return
    token = _answers.set(answers := {})
    try:
        yield answers
    finally:
        _answers.reset(token)


def frozen(value: Any) -> Any:
    """Return something hashable that is equal only for equal values of the same types.

    Raises:
        TypeError: The value holds an object that could change.
    """
    if isinstance(value, Namespace | dict):
        pairs = (vars(value) if isinstance(value, Namespace) else value).items()
        return type(value), *[(key, frozen(item)) for key, item in pairs]
    if isinstance(value, list | tuple):
        return type(value), *[frozen(item) for item in value]
    kind = type(value)
    if kind in (float, Path):
        return kind, repr(value)  # 0.0 == -0.0; a path of jsonargparse
    if value is None or kind in (str, int, bool) or isinstance(value, type | PurePath | Enum) or isroutine(value):
        return kind, value
    raise TypeError(kind)
