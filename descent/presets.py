"""Where a preset is looked up: beside the file that names it, in the working folder, then among the shipped ones."""

import difflib
from pathlib import Path
from typing import Any

from foundation.errors import UserError

SHIPPED = Path(__file__).resolve().parent.parent / "configs"
MODE = "descent"
SUFFIXES = (".yaml", ".yml")


class PresetNotFoundError(UserError):
    """A preset that is nowhere; the message says where one looked and what comes near."""


def shipped(path: str) -> Path | None:
    """The shipped file of that relative path, written with or without `configs/` in front."""
    parts = Path(path).parts
    if Path(path).is_absolute() or not parts:
        return None
    candidate = SHIPPED.joinpath(*(parts[1:] if parts[0] == "configs" else parts))
    return candidate if candidate.is_file() else None


def names() -> list[str]:
    """Every shipped preset, as `kind/name.yaml`."""
    return sorted(path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*.yaml"))


def nearest(path: str) -> str:
    """` Did you mean …?`, or nothing, for a path that does not exist."""
    text = path.removeprefix("configs/")
    close = difflib.get_close_matches(text, names(), n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else " `descent presets` lists the shipped ones."


def resolve(text: str, folder: Path | None = None) -> str:
    """The path to use for what was written as `text`; unchanged where it is no preset's path.

    Args:
        text: What stands in a config or on the command line.
        folder: Folder of the file that it stands in; by default the working folder.

    Raises:
        PresetNotFoundError: It looks like a preset (`losses/focl.yaml`) and is nowhere.
    """
    if not text.endswith(SUFFIXES) or "\n" in text:
        return text
    for base in (folder or Path.cwd(), Path.cwd()):
        if (base / text).is_file():
            return str((base / text).resolve()) if base != Path.cwd() else text
    found = shipped(text)
    if found is not None:
        return str(found)
    kinds = {path.name for path in SHIPPED.iterdir() if path.is_dir()}
    if Path(text).parts[:1] and (Path(text).parts[0] in kinds or Path(text).parts[0] == "configs"):
        raise PresetNotFoundError(f"preset not found: {text}.{nearest(text)}")
    return text


def _resolve_all(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _resolve_all(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve_all(item, folder) for item in value]
    return resolve(value, folder) if isinstance(value, str) else value


def load(text: str) -> Any:
    """YAML as jsonargparse reads it, with the presets' paths in it resolved."""
    import jsonargparse

    if text == "None":  # what jsonargparse 4.53 makes of a null that is typed for an argument of an argument
        return None
    value = jsonargparse.get_loader("yaml")(text)
    if not isinstance(value, (dict, list)):
        return value
    return _resolve_all(value, Path(jsonargparse.typing.Path(".", mode="d").absolute))


def register() -> str:
    """Make the loader known to jsonargparse; its mode's name."""
    import yaml
    from jsonargparse import set_loader

    set_loader(MODE, load, exceptions=(yaml.YAMLError, PresetNotFoundError))
    return MODE
