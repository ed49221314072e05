"""What `descent find-lr` leaves: pictures and numbers in a folder, and a config that `fit -c` takes."""

from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace

from callbacks.lr_search import LRSearch

PRESET = "lr_finder.yaml"


def write_search(search: LRSearch, config: Namespace, folder: Path) -> str:
    """Write the search's files and the preset; the last lines for the terminal.

    Args:
        search: What was found.
        config: Of the command.
        folder: The run's.
    """
    search.save(folder)
    preset = preset_of(search, config)
    if preset is None:
        return (
            f"{search.summary()}\npicture        {folder / 'lr_finder.png'}\n"
            "The module has no optimizer argument that a preset could set: put the learning rate where it has it."
        )
    text = (
        f"# Learning rate found by descent find-lr ({search.method}); lay it over the config: fit -c CONFIG -c THIS.\n"
    )
    (folder / PRESET).write_text(text + yaml.safe_dump(preset, sort_keys=False))
    files = " ".join(f"-c {path}" for path in config.get("config") or [])
    return "\n".join(
        [
            search.summary(),
            f"picture        {folder / 'lr_finder.png'}",
            f"use it         descent fit {files} -c {folder / PRESET}".replace("  -c", " -c"),
        ]
    )


def preset_of(search: LRSearch, config: Namespace) -> dict[str, Any] | None:
    """The part of a config that sets the found rate; `None` where the module takes no optimizer.

    torch's OneCycleLR and CyclicLR have rates of their own beside the optimizer's: they are set too.
    """
    arguments = config.model.get("init_args", Namespace()).as_dict()
    optimizer = arguments.get("optimizer")
    if not isinstance(optimizer, dict) or "lr" not in optimizer.get("init_args", {}):
        return None
    rate = _short(search.winner)
    chosen: dict[str, Any] = {"optimizer": _with(optimizer, lr=rate)}
    scheduler = arguments.get("scheduler")
    own = scheduler.get("init_args", {}) if isinstance(scheduler, dict) else {}
    if {"base_lr", "max_lr"} <= own.keys():
        lower, upper = search.suggestions.cyclic
        chosen["scheduler"] = _with(scheduler, base_lr=_short(lower), max_lr=_short(upper))
    elif "max_lr" in own:
        chosen["scheduler"] = _with(scheduler, max_lr=rate)
    return {"model": {"class_path": config.model.class_path, "init_args": chosen}}


def _with(spec: Any, **changed: float) -> dict[str, Any]:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in spec["init_args"].items()}
    return {"class_path": spec["class_path"], "init_args": plain | changed}


def _short(rate: float) -> float:
    return float(f"{rate:.3g}")
