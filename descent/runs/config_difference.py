"""What of a config differs from the defaults: the text that tells a run from others."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import yaml

MISSING = object()


def changed_text(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Return what of a run's config differs from the defaults, as YAML.

    Args:
        config: As in the run's `config.yaml`.
        defaults: What the command takes where nothing is given, by the same keys.
    """
    return str(yaml.safe_dump(changed(config, defaults), sort_keys=False, allow_unicode=True))


def changed(value: Any, defaults: Any = None) -> Any:
    """Return a config without the values that are the default; jsonargparse keeps those of nested classes.

    Args:
        value: A config, or a part of one.
        defaults: The defaults of its keys; a class has its own.

    Example:
        >>> spec = {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {"ignore_index": -100, "reduction": "sum"}}
        >>> changed({"loss": spec, "trainer": {"devices": 2, "max_epochs": 5}}, {"trainer": {"devices": 2}})
        {'loss': {'class_path': 'torch.nn.CrossEntropyLoss', 'init_args': {'reduction': 'sum'}}, 'trainer': \
{'max_epochs': 5}}
    """
    if isinstance(value, list):
        return [changed(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    if "class_path" not in value:
        return _without(value, defaults if isinstance(defaults, Mapping) else {})
    kept = _without(value.get("init_args") or {}, defaults_of(named(str(value["class_path"]))))
    return {"class_path": value["class_path"], **({"init_args": kept} if kept else {})}


def _without(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for key, value in given.items():
        default = defaults.get(key, MISSING)
        if value == (list(default) if isinstance(default, tuple) else default):  # YAML has no tuples
            continue
        if (rest := changed(value, default)) != {} or value == {}:
            kept[key] = rest
    return kept


def named(path: str) -> Any:
    """Return the class or function of a path; `None` if there is none any more."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return None


def defaults_of(kind: Any) -> dict[str, Any]:
    """Return the default of each argument of a class or function, also those that it hands to the class it is made of.

    Example:
        >>> defaults_of(dict), defaults_of(None)
        ({}, {})
    """
    found: dict[str, Any] = {}
    for each in reversed(inspect.getmro(kind) if inspect.isclass(kind) else [kind]):
        try:
            parameters = inspect.signature(each.__init__ if inspect.isclass(each) else each).parameters
        except (TypeError, ValueError):
            continue
        found |= {name: one.default for name, one in parameters.items() if one.default is not inspect.Parameter.empty}
    return found
