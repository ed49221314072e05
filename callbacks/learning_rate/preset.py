"""Write the found learning rate as a preset for `fit -c`."""

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
    """Return a preset with the rate of the optimizer, and those of torch's OneCycleLR and CyclicLR.

    Args:
        search: Result of the search.
        class_path: Of the module.
        optimizer: Class path and arguments as in the config, among them `lr`.
        scheduler: Likewise; `None` without one.
    """
    rate = search.pick
    chosen = {"optimizer": _with_arguments(optimizer, lr=rate)}
    own = (scheduler or {}).get("init_args") or {}
    if scheduler and {"base_lr", "max_lr"} <= own.keys():
        lower, upper = search.cyclic
        chosen["scheduler"] = _with_arguments(scheduler, base_lr=lower, max_lr=upper)
    elif scheduler and "max_lr" in own:
        chosen["scheduler"] = _with_arguments(scheduler, max_lr=rate)
    return {"model": {"class_path": class_path, "init_args": chosen}}


def module_preset(search: LRSearch, module: LightningModule) -> Spec | None:
    """Return the preset for a module that was built in Python.

    Returns:
        `None` unless its `optimizer` is a `functools.partial` of a class with `lr` and plain arguments.
    """
    optimizer = _spec(getattr(module, "optimizer", None))
    if optimizer is None or "lr" not in optimizer["init_args"]:
        return None
    scheduler = _spec(getattr(module, "scheduler", None))
    return rate_preset(search, _class_path(type(module)), optimizer, scheduler)


def write_preset(search: LRSearch, preset: Spec, folder: Path) -> Path:
    """Write `lr_finder.yaml`."""
    text = f"# Learning rate {search.pick:.3g}: {search.basis}.\n# Use it after the config: fit -c CONFIG -c THIS.\n"
    (folder / PRESET).write_text(text + yaml.safe_dump(preset, sort_keys=False), encoding="utf-8")
    return folder / PRESET


def _spec(factory: Any) -> Spec | None:
    if not isinstance(factory, partial) or not isinstance(class_of(factory), type):
        return None
    arguments = {
        name: list(value) if isinstance(value, tuple) else value for name, value in arguments_of(factory).items()
    }
    plain = all(isinstance(value, (int, float, str, list, type(None))) for value in arguments.values())
    return {"class_path": _class_path(class_of(factory)), "init_args": arguments} if plain else None


def _class_path(cls: Any) -> str:
    """Return the shortest path from which the class can be imported, such as that of its top-level package."""
    names = cls.__module__.split(".")
    packages = (".".join(names[:count]) for count in range(1, len(names) + 1))
    found = (package for package in packages if getattr(import_module(package), cls.__name__, None) is cls)
    return f"{next(found, cls.__module__)}.{cls.__qualname__}"


def _with_arguments(spec: Spec, **changed: float) -> Spec:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in spec["init_args"].items()}
    return {"class_path": spec["class_path"], "init_args": plain | changed}
