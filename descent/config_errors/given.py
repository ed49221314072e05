"""What a user gave: the config files and options of a command line as one tree that knows where each value stands."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader

from descent import presets
from foundation.errors import UserError
from foundation.suggestions import did_you_mean

CONFIG_OPTIONS = ("-c", "--config")
LIMIT = 400  # characters of a message


@dataclass
class Given:
    """A value and where it stands.

    Args:
        value: A number, text, truth value or `None`; or a dictionary or list of `Given`.
        place: "configs/mine.yaml, line 3", or empty for the command line.
        text: The characters that an option gave, which its type reads; `None` for a value from a file.
    """

    value: Any
    place: str = ""
    text: str | None = None

    @classmethod
    def of(cls, plain: Any) -> "Given":
        """Return a value without places as one of this class."""
        if isinstance(plain, dict):
            return cls({key: cls.of(item) for key, item in plain.items()})
        return cls([cls.of(item) for item in plain] if isinstance(plain, list) else plain)

    @property
    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: item.plain for key, item in self.value.items()}
        return [item.plain for item in self.value] if isinstance(self.value, list) else self.value

    @property
    def suffix(self) -> str:
        """` (FILE, line N)`, to stand after a sentence; empty for the command line."""
        return f" ({self.place})" if self.place else ""


def read_config(text: str) -> Given:
    """Read a config file, or the text of a config.

    Raises:
        UserError: It is no text, no valid YAML or no mapping, a key stands twice, or an anchor contains itself.
    """
    path = Path(presets.resolve(text)) if "\n" not in text and len(text) < 1000 else None
    if path is not None and os.path.isfile(path):  # noqa: PTH113  Path raises an error for a name of 256 characters
        name = shown(path)
        content = _text_of(path, name)
    elif path is not None and (text.endswith(presets.SUFFIXES) or not set(":{[") & set(text)):
        raise UserError(_not_found(text, path))
    else:
        content, name = text, "the config"
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise UserError(f"{name}{line} is not valid YAML: {' '.join(str(problem).split())}.") from error
    if root is None:
        raise UserError(f"{name} is empty: a config holds keys such as trainer, model and data.")
    return _from_node(root, name, path.parent if path is not None else Path.cwd(), ())


def _not_found(text: str, path: Path) -> str:
    """Say that there is no such config; a folder may be a run's, and a preset may lack its folder or its ending."""
    if path.is_dir():
        runs = sorted(path.glob("config.yaml")) or sorted(path.glob("[0-9]*/config.yaml"))
        example = f", e.g. {shown(runs[-1])}" if runs else ""
        return f"{text or 'an empty text'} is a folder: -c takes a config file{example}."
    name = text.removeprefix("configs/") + ("" if text.endswith(presets.SUFFIXES) else ".yaml")
    same = [each for each in presets.names() if f"/{each}".endswith(f"/{name}")]
    same.sort(key=len)
    hint = f"did you mean {same[0]}?" if same else did_you_mean(name, presets.names(), cutoff=0.8)
    return f"config not found: {text}.{f' D{hint[1:]}' if hint else ''}"


def check_files(words: Sequence[str], groups: set[str]) -> None:
    """Read the config files of a command line.

    Args:
        words: The command line.
        groups: Keys such as `trainer`, which hold further keys.

    Raises:
        UserError: See `read_config`.
    """
    for option, text in options(words):
        if text is not None and (number := _vanishing(text)):
            raise UserError(
                f"{option.lstrip('-')} is {number}, which a computer reads as 0: give 0 or a larger number."
            )
        if option in CONFIG_OPTIONS and text is not None:
            given = read_config(text)
            if not isinstance(given.value, dict):
                raise UserError(f"{given.place} is no mapping: a config holds keys such as trainer, model and data.")
            for key, group in given.value.items() if len(given.value) == 1 else ():
                if group.value is None and key not in groups:  # which jsonargparse takes for a text
                    raise UserError(f"{key} is empty: give it keys or remove it.{group.suffix}")
            for key in groups & given.value.keys():
                group = given.value[key]
                if not isinstance(group.value, dict) and not str(group.value).endswith(presets.SUFFIXES):
                    found, space = shorten(group.plain), re.fullmatch(r"([\w.]+):(\S.*)", str(group.plain))
                    way = f"write {space[1]}: {space[2]}, with a space" if space else "give it keys or remove it"
                    raise UserError(f"{key} must hold keys, got {found}: {way}.{group.suffix}")


def shown(path: Path) -> str:
    """Return a path as a user writes it: of a shipped config `configs/…`, else relative to the working folder."""
    whole = path.resolve()
    for folder, start in ((presets.SHIPPED, "configs/"), (Path.cwd(), "")):
        if whole.is_relative_to(folder):
            return start + whole.relative_to(folder).as_posix()
    return str(path)


def _text_of(path: Path, name: str) -> str:
    try:
        content = path.read_bytes().decode()
    except UnicodeDecodeError:
        way = " A checkpoint is given as --ckpt_path." if path.suffix in (".ckpt", ".pt", ".pth") else ""
        raise UserError(f"{name} is no text in UTF-8: a config is a YAML file.{way}") from None
    if "\0" in content:
        raise UserError(f"{name} is no text: a config is a YAML file.")
    return content


def _from_node(node: yaml.Node, name: str, folder: Path, above: tuple[int, ...], inside: str = "the value") -> Given:
    place = f"{name}, line {node.start_mark.line + 1}"
    if id(node) in above:
        raise UserError(f"{place}: an anchor contains itself.")
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        items: dict[str, Given] = {}
        for key_node, value_node in node.value:
            key = str(getattr(key_node, "value", key_node))
            if key in items and key != "<<":
                line = key_node.start_mark.line + 1
                raise UserError(f"{name}, line {line}: the key {key} stands twice; the second would hide the first.")
            item = _from_node(value_node, name, folder, above, key)
            if key == "<<" and isinstance(item.value, dict):
                items = {**item.value, **items}
                continue
            item.place = f"{name}, line {key_node.start_mark.line + 1}"
            items[key] = item
        return Given(items, place)
    if isinstance(node, yaml.SequenceNode):
        return Given([_from_node(item, name, folder, above, inside) for item in node.value], place)
    value = node.value if getattr(node, "style", None) else get_loader("yaml")(node.value)
    if number := _vanishing(node.value):
        raise UserError(f"{place}: {inside} is {number}, which a computer reads as 0: give 0 or a larger number.")
    return Given(str(folder / value) if _is_preset(value, folder) else value, place)


def _vanishing(text: str) -> str:
    """Return the first number of an option that is not 0 and is read as 0; empty if there is none.

    Example:
        >>> [_vanishing(text) for text in ("1e-400", "[0.9, 1e-999]", "1e-300", "0e-1", "runs/1e-400")]
        ['1e-400', '1e-999', '', '', '']
    """
    words = re.split(r"[\[\]{},:\s]+", text) if text[:1] in "[{" else [text]
    numbers = (word for word in words if re.fullmatch(r"[+-]?[\d.]+[eE]-\d+", word) and is_number(word))
    return next((word for word in numbers if float(word) == 0 and re.search("[1-9]", re.split("[eE]", word)[0])), "")


def _is_preset(value: Any, folder: Path) -> bool:
    return isinstance(value, str) and value.endswith(presets.SUFFIXES) and (folder / value).is_file()


def given_as_option(text: str) -> Given:
    """Return the value of an option; a mapping or a list is written as in YAML."""
    if text[:1] in "{[" and text:
        try:
            read = read_config(text)
        except UserError:
            return Given(text, text=text)
        return Given.of(read.plain)
    return Given(text, text=text)


def options(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the options of a command line with their values; a word that no option takes comes as `("", word)`."""
    waiting: str | None = None
    for word in words:
        if word.startswith("-") and not is_number(word):
            if waiting is not None:
                yield waiting, None
            waiting = None
            option, equals, value = word.partition("=")
            if equals:
                yield option, value
            else:
                waiting = option
        else:
            yield waiting or "", word
            waiting = None
    if waiting is not None:
        yield waiting, None


def is_number(word: str) -> bool:
    """Return whether a text is a number as Python reads it."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def shorten(value: Any, limit: int = 60) -> str:
    """Return a value as one writes it in a config, in at most `limit` characters.

    Example:
        >>> shorten({"lr": None, "betas": [0.9, True]})
        '{lr: null, betas: [0.9, true]}'
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{key}: {shorten(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(map(shorten, value)) + "]"
    else:
        text = " ".join(str(value).split()) or "an empty text"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
