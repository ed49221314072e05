"""Write a run's config as YAML that can be run again; what YAML cannot say is named."""

import warnings
from collections.abc import Iterator
from enum import Enum
from typing import Any

import torch
import yaml
from jsonargparse import Namespace

from foundation.compat.argument_parsers import NOT_SERIALIZED
from foundation.errors import UserError


def config_text(parser: Any, config: Namespace) -> tuple[str, list[str]]:
    """Return a config as YAML, and a sentence for each value that it cannot hold.

    Defaults of classes that are no plain values (a device, a member of an enumeration) become what the class accepts
    in their place. A text that needed such a change is parsed before it is returned.

    Args:
        parser: The parser of the command.
        config: The parsed config.
    """
    config = config.clone()
    members = [item for item in _items(config) if isinstance(item[2], Enum) and isinstance(item[2], str)]
    for holder, key, value, _ in members:
        holder[key] = str(value.value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is not serialized is looked for below
        text = str(parser.dump(config, skip_none=False))
    sentences: list[str] = []
    if repaired := NOT_SERIALIZED in text:
        text = _repaired(text, config, sentences)
    if (members or repaired) and (reason := _refusal(parser, text)):
        sentences.append(f"The saved config cannot be run again as it is: {reason}")
    return text, sentences


def _items(value: Any, path: str = "") -> Iterator[tuple[Any, Any, Any, str]]:
    """Yield holder, key, value and dotted path of every value in a config that holds no others."""
    if isinstance(value, Namespace | dict):
        pairs = list((vars(value) if isinstance(value, Namespace) else value).items())
    else:
        pairs = list(enumerate(value))
    for key, item in pairs:
        below = f"{path}.{key}" if path else str(key)
        if isinstance(item, Namespace | dict | list):
            yield from _items(item, below)
        else:
            yield value, key, item, below


def _repaired(text: str, config: Namespace, sentences: list[str]) -> str:
    """Return the text with the config's own values where jsonargparse has written a remark instead."""
    content = yaml.safe_load(text)
    originals = {path: value for _, _, value, path in _items(config)}
    for holder, key, value, path in list(_items(content)):
        if not (isinstance(value, str) and value.startswith(NOT_SERIALIZED)):
            continue
        original = originals.get(path)
        if isinstance(original, str | torch.device):
            holder[key] = str(original)
        else:
            holder[key] = None
            sentences.append(f"{path} is a {type(original).__name__}, which YAML cannot hold: config.yaml has null.")
    comments = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("#"))
    return comments + str(yaml.safe_dump(content, sort_keys=False))


def _refusal(parser: Any, text: str) -> str:
    """Return why the parser does not accept the text, or an empty string."""
    before, parser.raises = getattr(parser, "raises", False), True
    try:
        parser.parse_string(text)
    except (UserError, ValueError, TypeError, SystemExit) as error:
        return str(error)
    finally:
        parser.raises = before
    return ""
