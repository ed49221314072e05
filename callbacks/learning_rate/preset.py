"""The part of a config that sets a found learning rate, as a preset that `fit -c` takes."""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule

from callbacks.learning_rate.search import LRSearch
from foundation.factories import arguments_of, class_of

PRESET = "lr_finder.yaml"
Spec = dict[str, Any]
"""`{"class_path": …, "init_args": {…}}`"""


def rate_preset(search: LRSearch, class_path: str, optimizer: Spec, scheduler: Spec | None) -> Spec:
    """Set the rate of the optimizer, and those that torch's OneCycleLR and CyclicLR have beside it.

    Args:
        search: What was found.
        class_path: Of the module.
        optimizer: As the config has it, with `lr` among its arguments.
        scheduler: Likewise; `None`: none.
    """
    rate = _short(search.winner)
    chosen = {"optimizer": _with(optimizer, lr=rate)}
    own = (scheduler or {}).get("init_args") or {}
    if scheduler and {"base_lr", "max_lr"} <= own.keys():
        lower, upper = search.suggestions.cyclic
        chosen["scheduler"] = _with(scheduler, base_lr=_short(lower), max_lr=_short(upper))
    elif scheduler and "max_lr" in own:
        chosen["scheduler"] = _with(scheduler, max_lr=rate)
    return {"model": {"class_path": class_path, "init_args": chosen}}


def module_preset(search: LRSearch, module: LightningModule) -> Spec | None:
    """The preset for a module that was made in Python.

    Returns:
        `None` unless its `optimizer` is a `functools.partial` of a class with `lr` and plain arguments.
    """
    optimizer = _spec(getattr(module, "optimizer", None))
    if optimizer is None or "lr" not in optimizer["init_args"]:
        return None
    scheduler = _spec(getattr(module, "scheduler", None))
    return rate_preset(search, _path(type(module)), optimizer, scheduler)


def write_preset(search: LRSearch, preset: Spec, folder: Path) -> Path:
    """Write `lr_finder.yaml`."""
    text = f"# Learning rate found by a range test ({search.method}); lay it over the config: fit -c CONFIG -c THIS.\n"
    (folder / PRESET).write_text(text + yaml.safe_dump(preset, sort_keys=False))
    return folder / PRESET


def _spec(factory: Any) -> Spec | None:
    if not isinstance(factory, partial) or not isinstance(class_of(factory), type):
        return None
    arguments = {
        name: list(value) if isinstance(value, tuple) else value for name, value in arguments_of(factory).items()
    }
    plain = all(isinstance(value, (int, float, str, list, type(None))) for value in arguments.values())
    return {"class_path": _path(class_of(factory)), "init_args": arguments} if plain else None


def _path(kind: Any) -> str:
    """The shortest path from which a class can be imported: that of its package, if it is there too."""
    package = kind.__module__
    while "." in package and getattr(import_module(package.rpartition(".")[0]), kind.__name__, None) is kind:
        package = package.rpartition(".")[0]
    return f"{package}.{kind.__qualname__}"


def _with(spec: Spec, **changed: float) -> Spec:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in spec["init_args"].items()}
    return {"class_path": spec["class_path"], "init_args": plain | changed}


def _short(rate: float) -> float:
    return float(f"{rate:.3g}")
