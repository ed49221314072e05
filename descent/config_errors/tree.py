"""What all configs and options give together: later ones change earlier ones, as the parser does it."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from descent.config_errors.given import Given, read_config
from descent.config_errors.named_class import arguments_of, find_class
from descent.config_errors.types import classes_of
from descent.presets import SUFFIXES, resolve
from foundation.compat.signatures import Argument
from foundation.errors import UserError

DEFAULT_CLASSES = {"model": "lightning_modules.ImageClassifier"}
MOST_BYTES = 100_000
"""Of a preset. A larger file that ends as presets do is data."""
RESERVED = ("class_path", "init_args", "dict_kwargs")


class Tree:
    """The values of a command line, by the parser's arguments.

    Args:
        arguments: The parser's arguments, by dotted name.
    """

    def __init__(self, arguments: dict[str, Argument]) -> None:
        self.arguments = arguments
        self.values: dict[str, Given] = {}
        self.unknown: list[tuple[str, Given]] = []

    def argument_of(self, name: str) -> str | None:
        """Return the argument to which a dotted name belongs: itself, or the start of the name."""
        parts = name.split(".")
        paths = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        found = next((path for path in paths if path in self.arguments), None)
        if found is None or found == name:
            return found
        return found if classes_of(self.arguments[found].type) else None

    def merge(self, config: Given, prefix: str = "") -> None:
        """Add the keys of a config file, whose groups such as `trainer` may be files of their own."""
        for key, given in config.value.items() if isinstance(config.value, dict) else ():
            path = f"{prefix}{key}"
            if path in self.arguments:
                self.set(path, self.opened(given, path) if classes_of(self.arguments[path].type) else given)
            elif self._is_group(path):
                content = self.opened(given, path)
                self.merge(content, f"{path}.")
            elif self.argument_of(path):
                self.set(path, given)
            else:
                self.unknown.append((path, given))

    def _is_group(self, path: str) -> bool:
        return any(name.startswith(f"{path}.") for name in self.arguments)

    def set(self, name: str, given: Given) -> None:
        """Set an argument, or an argument of the class that one configures: `model.optimizer.lr`."""
        path = self.argument_of(name) or name
        rest = name[len(path) + 1 :].split(".") if len(name) > len(path) else []
        classes = classes_of(self.arguments[path].type) if path in self.arguments else []
        given = self.opened(given) if classes else given
        if not rest:
            self.values[path] = self._merged(self.values.get(path), given)
            return
        node = self.opened(self.values.get(path, Given({})))
        if isinstance(node.value, list) and node.value:  # of a list, an option changes the last item
            self.values[path] = node
            node.value[-1] = node = self._of_class(self.opened(node.value[-1]))
            self._set_inside(node, rest, given)
            return
        self.values[path] = node = self._of_class(node)
        self._set_inside(node, rest, given)

    def _set_inside(self, node: Given, rest: list[str], given: Given) -> None:
        name, *deeper = rest
        if name == "init_args" and deeper:
            name, *deeper = deeper
        inside = name not in RESERVED and not self._is_mapping(node)
        if inside and getattr(node.value.get("init_args"), "value", None) is None:  # missing, or an empty group
            node.value["init_args"] = Given({})
        target = node.value["init_args"].value if inside else node.value
        if not deeper:
            target[name] = self._merged(target.get(name), self.opened(given))
            return
        target[name] = child = self._of_class(self.opened(target.get(name, Given({}, given.place, None))))
        self._set_inside(child, deeper, given)

    @staticmethod
    def _of_class(node: Given) -> Given:
        """Return a node whose arguments may be set: what is no mapping is the path of its class."""
        return node if isinstance(node.value, dict) else Given({"class_path": node}, node.place)

    @staticmethod
    def _is_mapping(node: Given) -> bool:
        """Whether a node holds arguments directly, without class path: they belong to the class that is the default."""
        return bool(node.value) and not any(key in node.value for key in RESERVED)

    def _merged(self, before: Given | None, given: Given) -> Given:
        """Return what two values give together: keys of the second are added, arguments go to the first's class."""
        if before is None or not isinstance(given.value, dict):
            return given
        before = self.opened(before)
        if not isinstance(before.value, dict):
            if not isinstance(before.value, str) or "class_path" in given.value:
                return given
            before = Given({"class_path": before}, before.place)
        old, new = before.value.get("class_path"), given.value.get("class_path")
        if old is not None and new is not None and old.plain != new.plain:
            return given
        merged = dict(before.value)
        for key, value in given.value.items():
            inside = merged
            if "class_path" in before.value and key not in RESERVED:
                arguments = merged.get("init_args", Given({}))
                merged["init_args"] = Given(inside := dict(arguments.value or {}), arguments.place)
            inside[key] = self._merged(inside.get(key), value)
        return Given(merged, given.place)

    @staticmethod
    def opened(given: Given, path: str = "") -> Given:
        """Return the content of a preset that a value names; any other value as it is.

        Raises:
            UserError: There is no such file, or it is no config; the message begins with `path` if that is given.
        """
        if isinstance(given.value, str) and given.value.endswith(SUFFIXES):
            try:
                content = read_config(given.value)
            except UserError as error:
                raise UserError(f"{path}: {error}{given.suffix}" if path else str(error)) from error
            return Given(content.value, given.place or ("" if given.text is not None else content.place))
        return given

    def empty_keys(self) -> Iterator[tuple[str, Given]]:
        """Yield the keys that hold `{}`: jsonargparse passes over such keys, also over those it lacks."""
        for path, given in (*self.values.items(), *self.unknown):
            yield from _empty_keys(path, given)

    def default_class(self, path: str) -> str | None:
        """Return the class path that an argument has when none is given."""
        return DEFAULT_CLASSES.get(path)

    def arguments_given(self, given: Given) -> dict[str, Given]:
        """Return the arguments that a node gives to its class."""
        if not isinstance(given.value, dict):
            return {}
        inside = given.value.get("init_args")
        found = dict(inside.value) if inside is not None and isinstance(inside.value, dict) else {}
        found |= {key: value for key, value in given.value.items() if key not in RESERVED}
        return found

    def all_keys(self) -> list[str]:
        """Return every key that could have been given: the parser's, and those of the classes that were chosen."""
        found: list[str] = []
        for path, argument in self.arguments.items():
            found.append(path)
            found += self._keys_inside(path, self.values.get(path), argument)
        return found

    def _keys_inside(self, path: str, given: Given | None, argument: Argument) -> list[str]:
        classes = classes_of(argument.type)
        if not classes or (given is None and path not in DEFAULT_CLASSES):
            return []
        named: Any = DEFAULT_CLASSES.get(path)
        if given is not None:
            named = given.value.get("class_path", named) if isinstance(given.value, dict) else given
        target, _ = find_class(str(getattr(named, "plain", named)), classes)
        if target is None:
            return []
        inside = self.arguments_given(given) if given is not None else {}
        found = []
        for name, each in arguments_of(target, classes).items():
            value = self.opened(inside[name], f"{path}.{name}") if name in inside and classes_of(each.type) else None
            found += [f"{path}.{name}", *self._keys_inside(f"{path}.{name}", value, each)]
        return found


def has_empty(given: Given) -> bool:
    """Return whether `{}` is a value, or inside it, but for an empty `init_args`."""
    return next(_empty_keys("", given), None) is not None


def _may_hold_braces(name: str) -> bool:
    """Return whether a file has a brace and the size of a preset; reading it as YAML takes a hundred times as long."""
    file = Path(resolve(name))
    return file.stat().st_size <= MOST_BYTES and "{" in file.read_text("utf-8", errors="ignore")


def _empty_keys(path: str, given: Given, opened: tuple[str, ...] = ()) -> Iterator[tuple[str, Given]]:
    with suppress(UserError, OSError):  # a text that ends as a preset does, and is none
        text = given.value
        if isinstance(text, str) and text.endswith(SUFFIXES) and text not in opened and _may_hold_braces(text):
            given, opened = Tree.opened(given), (*opened, text)
    if isinstance(given.value, dict):
        if not given.value and path.rpartition(".")[2] not in RESERVED[1:]:
            yield path, given
        for key, each in given.value.items():
            yield from _empty_keys(f"{path}.{key}", each, opened)
    elif isinstance(given.value, list):
        for number, each in enumerate(given.value):
            yield from _empty_keys(f"{path}[{number}]", each, opened)
