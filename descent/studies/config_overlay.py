"""Configs laid over one another without leaks: what a key names is replaced whole, never mixed with what was there."""

import copy
from pathlib import Path
from typing import Any

import yaml

from descent import presets
from descent.training.arguments import DEFAULT_MODULE
from foundation.errors import UserError

Config = dict[str, Any]

OF_ONE_RUN = ("config", "ckpt_path", "weights_only", "verbose", "experiment", "checkpoint", "seed_everything")
"""Keys of a run's config that say nothing about the experiment."""


def load_experiment(path: str) -> Config:
    """A run's config as a mapping: a preset's path, a file of the user's own, or the `config.yaml` of a run.

    Args:
        path: As presets are named.

    Raises:
        FileNotFoundError: There is no such file.
    """
    config = _read(_find(path))
    config = {key: value for key, value in config.items() if key not in OF_ONE_RUN}
    model = expand(config.get("model", {}))
    config["model"] = model if "class_path" in model else {**DEFAULT_MODULE, "init_args": model}
    return config


def lay(config: Config, key: str, value: Any) -> None:
    """Set a dotted key, as on the command line: `model.optimizer.lr` finds its way through presets and `init_args`.

    The value takes the whole place of what stood there: after AdamW, an SGD keeps nothing of AdamW's arguments.

    Args:
        config: Changed in place.
        key: E.g. `trainer.max_epochs`.
        value: Anything that YAML holds; the path of a preset names its content.

    Example:
        >>> config = {"model": {"class_path": "m.M", "init_args": {"optimizer": {"class_path": "A", "init_args": {}}}}}
        >>> lay(config, "model.optimizer.lr", 0.1)
        >>> lay(config, "trainer.max_epochs", 3)
        >>> config["model"]["init_args"]["optimizer"], config["trainer"]
        ({'class_path': 'A', 'init_args': {'lr': 0.1}}, {'max_epochs': 3})
    """
    *path, last = key.split(".")
    node = config
    for part in path:
        node = _inside(node, part)
        node[part] = expand(node.get(part) or {})
        node = node[part]
    _inside(node, last)[last] = copy.deepcopy(value)


def look_up(config: Config, key: str) -> Any:
    """The value of a dotted key, through presets and `init_args`.

    Raises:
        UserError: There is nothing of that name; the message says what there is.
    """
    node: Any = config
    for part in key.split("."):
        node = expand(node)
        if not isinstance(node, dict):
            raise UserError(f"{key}: nothing is set below {part}.")
        node = _inside(node, part)
        if part not in node:
            raise UserError(f"{key} is not set; there is {', '.join(sorted(node)) or 'nothing'}.")
        node = node[part]
    return expand(node)


def expand(value: Any) -> Any:
    """The content of a preset in place of its path; paths inside it become absolute. Other values as they are."""
    if isinstance(value, str) and value.endswith(presets.SUFFIXES):
        return _read(_find(value))
    return value


def _inside(node: Config, part: str) -> Config:
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


def _read(path: Path) -> Config:
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path.name} holds no mapping of keys to values.")
    return dict(absolute(content, path.parent))


def absolute(value: Any, folder: Path) -> Any:
    """The same with every preset's path in it made absolute, as seen from a folder."""
    if isinstance(value, dict):
        return {key: absolute(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [absolute(item, folder) for item in value]
    if isinstance(value, str) and value.endswith(presets.SUFFIXES):
        found = presets.resolve(value, folder)
        return str(Path(found).resolve()) if Path(found).is_file() else value
    return value
