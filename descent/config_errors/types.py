"""Types of arguments: whether a value fits one, which classes it names, and how to say it in words."""

import inspect
import types
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from jsonargparse import ArgumentParser

from descent import presets
from descent.config_errors.given import Given

WORDS: dict[Any, str] = {
    type(None): "null", int: "an integer", float: "a number", bool: "true or false", str: "a text", list: "a list",
    tuple: "a list", dict: "a mapping", Path: "a path", timedelta: "a duration",
}  # fmt: skip


def fits(given: Given, kind: Any) -> bool:
    """Return whether jsonargparse accepts a value as one of a type."""
    if kind is None or kind is Any:
        return True
    if given.value is None and given.text is None:  # which jsonargparse takes for "not given"
        return type(None) in members(kind)
    parser, plain = ArgumentParser(exit_on_error=False, parser_mode=presets.register()), given.plain
    try:
        parser.add_argument("--value", type=kind)
        if given.text is not None:
            parser.parse_args([f"--value={given.text}"])
        else:
            parser.parse_object({"value": plain})
    except Exception:
        return False
    return True


def members(kind: Any) -> tuple[Any, ...]:
    """Return the types of a union; any other type alone."""
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(inner for member in get_args(kind) for inner in members(member))
    return members(get_args(kind)[0]) if get_origin(kind) is Annotated else (kind,)


def takes(kind: Any, collection: type) -> bool:
    """Return whether a type, or one of a union, is a kind of collection; a text counts as none.

    Example:
        >>> takes(list[int] | str, Iterable), takes(str | None, Iterable), takes(dict[str, int], dict)
        (True, False, True)
    """
    kinds = [get_origin(member) or member for member in members(kind)]
    return (
        None in kinds
        or Any in kinds
        or any(inspect.isclass(each) and each is not str and issubclass(each, collection) for each in kinds)
    )


def is_configured(kind: Any) -> bool:
    """Return whether a type is a class whose objects a config describes by class path and arguments."""
    return (
        inspect.isclass(kind)
        and get_origin(kind) is None
        and kind not in WORDS
        and kind.__module__ not in ("builtins", "torch")
    )


def classes_of(kind: Any) -> list[tuple[type, int]]:
    """Return the classes that a type lets a config name, each with the number of arguments that code gives it.

    Example:
        >>> classes_of(Path | None)
        []
    """
    found: list[tuple[type, int]] = []
    for member in members(kind):
        if is_configured(member):
            found.append((member, 0))
        elif _is_factory(member):
            taken, made = get_args(member)
            found += [(each, len(taken)) for each in members(made) if is_configured(each)]
    return found


def _is_factory(kind: Any) -> bool:
    return get_origin(kind) is Callable and len(get_args(kind)) == 2 and isinstance(get_args(kind)[0], list)


def item_type(kind: Any) -> Any:
    """Return the type of the items of a list among a union's types; `None` if there is none."""
    for member in members(kind):
        if get_origin(member) in (list, tuple, Iterable, Sequence):
            return get_args(member)[0]
    return None


def in_words(kind: Any) -> str:
    """Return what a type accepts, as one says it.

    Example:
        >>> in_words(int | None), in_words(Literal["min", "max"]), in_words(list[float])
        ('an integer or null', 'min or max', 'a list of numbers')
    """
    named = [
        member
        for member in members(kind)
        if getattr(member, "__module__", "") != "torch" and getattr(member, "__name__", str(member)) != "Untyped"
    ]  # a Tensor of one number; jsonargparse's name of a type that it cannot import
    names = list(dict.fromkeys(name for member in named for name in _names(member)))
    if "a number" in names and "an integer" in names:
        names.remove("an integer")
    names.sort(key=lambda name: name == "null")
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "of another type"


def _names(member: Any) -> list[str]:
    if get_origin(member) is Literal:
        return [str(choice) for choice in get_args(member)]
    if member in WORDS:
        return [WORDS[member]]
    item = item_type(member)
    if item is not None:
        inner = in_words(item)
        length = len(get_args(member)) if get_origin(member) is tuple and ... not in get_args(member) else 0
        plural = {"a number": "numbers", "an integer": "integers", "a text": "texts"}.get(inner)
        if length and plural:
            return [f"a list of {length} {plural}"]
        return [f"a list of {plural or inner.replace('a class of kind', 'classes of kind')}"]
    if get_origin(member) is dict:
        return ["a mapping"]
    return [f"a class of kind {made.__name__}" for made, _ in classes_of(member)] or [
        str(getattr(member, "__name__", member)).lower()
    ]
