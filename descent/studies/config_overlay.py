"""Read a run's config and set dotted keys in it; a new value replaces the old one as a whole, nothing is merged."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader

from descent import presets
from descent.config_errors.given import read_config, shorten
from descent.training.parser import DEFAULT_MODULE
from foundation.errors import UserError

Config = dict[str, Any]

RUN_KEYS = ("config", "ckpt_path", "weights_only", "verbose", "experiment", "target", "checkpoint", "seed_everything")
"""Keys of a config that belong to one run and not to the experiment."""


def load_experiment(path: str) -> Config:
    """Read a run's config: a preset, the user's own file, or the `config.yaml` of a run.

    Args:
        path: Path or name of a preset.

    Raises:
        FileNotFoundError: There is no such file.
    """
    config = _read(_find(path))
    config = {key: value for key, value in config.items() if key not in RUN_KEYS}
    model = expand(config.get("model", {}))
    config["model"] = model if "class_path" in model else {**DEFAULT_MODULE, "init_args": model}
    return config


def set_key(config: Config, key: str, value: Any) -> None:
    """Set a dotted key as on the command line; presets and `init_args` on the way are opened.

    The value replaces the old one as a whole: an SGD in place of an AdamW keeps none of AdamW's arguments.

    Args:
        config: The config, which is changed in place.
        key: E.g. `trainer.max_epochs` or `model.optimizer.lr`.
        value: Any YAML value; the path of a preset stands for its content.

    Example:
        >>> config = {"model": {"class_path": "m.M", "init_args": {"optimizer": {"class_path": "A", "init_args": {}}}}}
        >>> set_key(config, "model.optimizer.lr", 0.1)
        >>> set_key(config, "trainer.max_epochs", 3)
        >>> config["model"]["init_args"]["optimizer"], config["trainer"]
        ({'class_path': 'A', 'init_args': {'lr': 0.1}}, {'max_epochs': 3})

    Raises:
        UserError: The key leads through a value that has no keys.
    """
    *path, last = key.split(".")
    node = config
    for part in path:
        node = _arguments(node, part)
        node[part] = expand(node.get(part) or {})
        if not isinstance(node[part], dict):
            raise UserError(f"{key} cannot be set: {part} is {shorten(node[part])}, which has no keys.")
        node = node[part]
    _arguments(node, last)[last] = copy.deepcopy(value)


def look_up(config: Config, key: str) -> Any:
    """Return the value of a dotted key; presets and `init_args` on the way are opened.

    Raises:
        UserError: The key is not set; the message lists the keys that are.
    """
    node: Any = config
    for part in key.split("."):
        node = expand(node)
        if not isinstance(node, dict):
            raise UserError(f"{key}: nothing is set below {part}.")
        node = _arguments(node, part)
        if part not in node:
            raise UserError(f"{key} is not set; set are: {', '.join(sorted(node)) or 'no keys'}.")
        node = node[part]
    return expand(node)


def expand(value: Any) -> Any:
    """Return a preset's content for its path, with absolute paths inside; return other values unchanged."""
    if isinstance(value, str) and value.endswith(presets.SUFFIXES):
        return _read(_find(value))
    return value


def _arguments(node: Config, part: str) -> Config:
    if "class_path" in node and part not in ("class_path", "init_args"):
        if node.get("init_args") is None:
            node["init_args"] = {}
        inside: Config = node["init_args"]
        return inside
    return node


def _find(path: str) -> Path:
    found = Path(presets.resolve(path))
    if not found.is_file():
        raise FileNotFoundError(f"config not found: {path}.{presets.nearest(path)}")
    return found.resolve()


def read_mapping(path: Path, otherwise: str) -> Config:
    """Read a YAML file of keys and values.

    Raises:
        UserError: The file is not valid YAML, or does not hold keys and values; the message then ends with `otherwise`.
    """
    read_config(str(path))  # refuses what is no YAML, keys that stand twice, and anchors that contain themselves
    try:
        content = get_loader("yaml")(path.read_text(encoding="utf-8"))  # as the command line: 1e-3 is a number
    except yaml.YAMLError as error:
        raise UserError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path.name} {otherwise}")
    return content


def _read(path: Path) -> Config:
    return dict(absolute(read_mapping(path, "must hold keys and values."), path.parent))


def absolute(value: Any, folder: Path) -> Any:
    """Make every preset's path in a value absolute; relative paths start from `folder`."""

    def make_absolute(path: str) -> str:
        found = Path(presets.resolve(path, folder))
        return str(found.resolve()) if found.is_file() else path

    return map_paths(value, make_absolute)


def map_paths(value: Any, change: Callable[[str], str]) -> Any:
    """Apply a function to every path of a preset in a value of a config."""
    if isinstance(value, dict):
        return {key: map_paths(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [map_paths(item, change) for item in value]
    return change(value) if isinstance(value, str) and value.endswith(presets.SUFFIXES) else value
