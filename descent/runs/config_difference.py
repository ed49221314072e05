"""What of a config differs from the defaults: the text that tells a run from others."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import yaml

MISSING = object()


def changed_text(config: Mapping[str, Any], trainer: type) -> str:
    """Return what of a run's config differs from the defaults, as YAML.

    Args:
        config: As in the run's `config.yaml`.
        trainer: The trainer's class.
    """
    found = changed(config)
    defaults = defaults_of(trainer)
    settings = found.get("trainer")
    if isinstance(settings, Mapping):
        found["trainer"] = {key: value for key, value in settings.items() if value != defaults.get(key, MISSING)}
    kept = {key: value for key, value in found.items() if value not in (None, False, {}, [])}
    return str(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))


def changed(value: Any) -> Any:
    """Return a config without the arguments that have their class's default.

    Example:
        >>> spec = {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {"ignore_index": -100, "reduction": "sum"}}
        >>> changed({"loss": spec})
        {'loss': {'class_path': 'torch.nn.CrossEntropyLoss', 'init_args': {'reduction': 'sum'}}}
    """
    if isinstance(value, list):
        return [changed(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    if "class_path" not in value:
        return {key: changed(each) for key, each in value.items()}
    defaults = defaults_of(named(str(value["class_path"])))
    arguments = value.get("init_args") or {}
    kept = {key: changed(each) for key, each in arguments.items() if each != defaults.get(key, MISSING)}
    return {"class_path": value["class_path"], **({"init_args": kept} if kept else {})}


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
