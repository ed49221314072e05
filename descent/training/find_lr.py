"""What `descent find-lr` leaves: figures and numbers in a folder, and a config that `fit -c` takes."""

from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from callbacks.learning_rate.preset import rate_preset, write_preset
from callbacks.learning_rate.search import LRSearch


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
            f"{search.summary()}\nfigure        {folder / 'lr_finder.png'}\n"
            "The module has no optimizer argument that a preset could set: put the learning rate where it has it."
        )
    written = write_preset(search, preset, folder)
    files = " ".join(f"-c {path}" for path in config.get("config") or [])
    return "\n".join(
        [
            search.summary(),
            f"figure        {folder / 'lr_finder.png'}",
            f"use it         descent fit {files} -c {written}".replace("  -c", " -c"),
        ]
    )


def preset_of(search: LRSearch, config: Namespace) -> dict[str, Any] | None:
    """The part of a config that sets the found rate; `None` where the module takes no optimizer."""
    arguments = config.model.get("init_args", Namespace()).as_dict()
    optimizer, scheduler = arguments.get("optimizer"), arguments.get("scheduler")
    if not isinstance(optimizer, dict) or "lr" not in optimizer.get("init_args", {}):
        return None
    return rate_preset(search, config.model.class_path, optimizer, scheduler if isinstance(scheduler, dict) else None)
