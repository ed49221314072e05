"""Write the results of `descent find-lr`: figures, numbers, and a config for `fit -c`."""

from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from callbacks.learning_rate.preset import rate_preset, write_preset
from callbacks.learning_rate.search import LRSearch
from descent.presets import as_typed
from foundation.terminal.folding import fitted


def write_search(search: LRSearch, config: Namespace, folder: Path) -> str:
    """Write the search's files and the preset; return the lines for the terminal.

    Args:
        search: The finished search.
        config: The config of the command.
        folder: The run's folder.
    """
    search.save(folder)
    lines = [fitted(search.summary()), f"figure         {folder / 'lr_finder.png'}"]
    preset = preset_of(search, config)
    if preset is None:
        lines.append("The module has no optimizer argument: set the learning rate where your module takes it.")
    else:
        given = [as_typed(str(path)) for path in config.get("config") or []]
        configs = [f"-c {path}" for path in [*given, write_preset(search, preset, folder)]]
        lines.append(f"use it         descent fit {' '.join(configs)}")
    return "\n".join(lines)


def preset_of(search: LRSearch, config: Namespace) -> dict[str, Any] | None:
    """Return the part of a config that sets the found rate; `None` where the module takes no optimizer."""
    arguments = config.model.get("init_args", Namespace()).as_dict()
    optimizer, scheduler = arguments.get("optimizer"), arguments.get("scheduler")
    if not isinstance(optimizer, dict) or "lr" not in optimizer.get("init_args", {}):
        return None
    return rate_preset(search, config.model.class_path, optimizer, scheduler if isinstance(scheduler, dict) else None)
