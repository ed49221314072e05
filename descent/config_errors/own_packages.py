"""A user's folders `callbacks/`, `datamodules/` … in the working folder: their modules are found beside Descent's."""

import sys
from importlib import import_module
from pathlib import Path

PACKAGES = ("callbacks", "datamodules", "lightning_modules", "foundation", "descent", "configs")


def find_beside_ours(folder: Path) -> None:
    """Let `callbacks.mine` import `folder/callbacks/mine.py` where Descent's package has no module of that name."""
    for name in PACKAGES:
        own = (folder / name).resolve()
        paths = import_module(name).__path__ if own.is_dir() else []
        if own.is_dir() and own not in [Path(path).resolve() for path in paths]:
            paths.append(str(own))


def hidden_folder(module: str) -> str:
    """Return why a name is not found in a module of ours that hides a folder of the user's; empty if it hides none."""
    top = module.partition(".")[0]
    ours = getattr(sys.modules.get(top), "__file__", None)
    if top not in PACKAGES or not (Path.cwd() / top).is_dir() or ours is None:
        return ""
    if Path(ours).resolve().is_relative_to(Path.cwd().resolve() / top):
        return ""
    return (
        f" Descent's package {top} hides the folder {top}/ here: name the class with its file, {top}.FILE.CLASS, and "
        "give the file a name that Descent's package does not have, or rename the folder."
    )
