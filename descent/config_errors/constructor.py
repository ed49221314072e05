"""An error that a constructor raises: which key of the config names its class, and what it says."""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException

from descent.config_errors.given import LIMIT, Given, shorten
from descent.config_errors.named_class import raised
from descent.config_errors.numbers import nodes
from descent.config_errors.types import fits, in_words
from foundation.compat.signatures import signature_of
from foundation.errors import UserError

EXPLAINS_ITSELF = (UserError, ValueError, TypeError, RuntimeError, AssertionError, ImportError, NotImplementedError)
"""Errors that constructors raise about a wrong argument; any other kind is a bug in the class."""


@contextmanager
def explained_constructor_errors(config: Namespace | None = None) -> Iterator[None]:
    """Turn an error that a constructor raises into a `UserError`: the config gave it a wrong value.

    Args:
        config: Names the classes, for the key in the message.
    """
    try:
        yield
    except (OSError, UserError, MisconfigurationException):
        raise
    except Exception as error:
        raise UserError(shorten(_explained(error, config), LIMIT)) from error


def _explained(error: Exception, config: Namespace | None) -> str:
    cause = original(error)
    kind = constructed_class(cause.__traceback__)
    path, given = _place_of(kind, config) if config is not None and kind is not None else ("", {})
    start = f"{path}: " if path not in ("", "model", "data") else ""
    text = " ".join(str(cause).split())
    if config is not None and isinstance(cause, TypeError) and (unknown := _unknown_keyword(text, config)):
        return unknown
    if _raised_by_jsonargparse(cause):  # a class path whose object is of another kind than its key needs
        values = [line.strip() for line in str(cause).splitlines() if "Given value" in line]
        found = shorten(values[-1], 200) if values else ""
        text = f"the config builds an object of another kind than is needed. {found}"
    if isinstance(cause, TypeError) and path and kind is not None and (null := _null_argument(path, kind, given)):
        return null
    if isinstance(cause, EXPLAINS_ITSELF) and text:
        return start + text
    named = f"{kind.__module__}.{kind.__qualname__} " if kind is not None else ""
    return f"{start or (path or 'the config') + ': '}{named}{raised(cause)}"


def _place_of(kind: type, config: Namespace) -> tuple[str, dict[str, Any]]:
    """Return the key whose class path names a class, and the arguments there; an empty key if none does."""
    for path, node in nodes(config.as_dict()):
        if str(node.get("class_path", "")).rpartition(".")[2] == kind.__name__:
            return _shown_key(path), node.get("init_args") or {}
    return "", {}


def _shown_key(path: str) -> str:
    """Return a key as one writes it: without `init_args`, with `[0]` for an item of a list."""
    key = ".".join(part for part in path.split(".") if part != "init_args")
    return re.sub(r"\.(\d+)", r"[\1]", key)


def _unknown_keyword(message: str, config: Namespace) -> str:
    """Name a key of `dict_kwargs`, which jsonargparse does not check, that the class has no argument for."""
    found = re.search(r"got an unexpected keyword argument '(\w+)'", message)
    for path, node in nodes(config.as_dict()) if found else ():
        if found and found[1] in (node.get("dict_kwargs") or {}):
            key, owner = _shown_key(path), str(node.get("class_path", "")).rpartition(".")[2]
            return f"{key}.dict_kwargs.{found[1]}: {owner} has no argument {found[1]}."
    return ""


def _null_argument(path: str, kind: type, given: dict[str, Any]) -> str:
    """Name an argument of a class that is null although its type does not allow it; the parser lets some pass."""
    for name, argument in signature_of(kind).items():
        if name in given and given[name] is None and argument.type and not fits(Given(None), argument.type):
            return f"{path}.{name} must be {in_words(argument.type)}, got null."
    return ""


def original(error: BaseException) -> BaseException:
    """Return the error that a class raised, below those that jsonargparse made of it."""
    found = error
    while found.__cause__ is not None or (found.__context__ is not None and not found.__suppress_context__):
        below = found.__cause__ or found.__context__
        if below is None or not _raised_by_jsonargparse(found):
            break
        found = below
    return found


def _raised_by_jsonargparse(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "jsonargparse" in Path(frames[-1].filename).parts


def constructed_class(frames: TracebackType | None) -> type | None:
    """Return the class whose object jsonargparse was making: the first `__init__` below its last frame."""
    found: type | None = None
    searching = False
    while frames is not None:
        code = frames.tb_frame.f_code
        if "jsonargparse" in Path(code.co_filename).parts:
            found, searching = None, True
        elif searching and code.co_name == "__init__" and "self" in frames.tb_frame.f_locals:
            found, searching = type(frames.tb_frame.f_locals["self"]), False
        frames = frames.tb_next
    return found
