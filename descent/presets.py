"""Find presets: beside the file that names them, in the working folder, then among the shipped configs."""

import difflib
from pathlib import Path
from typing import Any

from foundation.errors import UserError

SHIPPED = Path(__file__).resolve().parent.parent / "configs"
MODE = "descent"
SUFFIXES = (".yaml", ".yml")


class PresetNotFoundError(UserError):
    """No such preset; the message has a suggestion."""


def shipped(path: str) -> Path | None:
    """Return the shipped file with a relative path, which may start with `configs/`; `None` if there is none."""
    parts = Path(path).parts
    if Path(path).is_absolute() or not parts:
        return None
    candidate = SHIPPED.joinpath(*(parts[1:] if parts[0] == "configs" else parts))
    return candidate if candidate.is_file() else None


def as_typed(path: str) -> str:
    """Return the path of a config as one would type it: a shipped one by its short name, if that leads to it.

    Example:
        >>> as_typed("mine.yaml")
        'mine.yaml'
    """
    if not Path(path).is_absolute():
        return path
    for folder in (Path.cwd(), SHIPPED):
        if Path(path).is_relative_to(folder):
            short = Path(path).relative_to(folder).as_posix()
            if (Path.cwd() / short).exists() == (folder == Path.cwd()):
                return short
    return path


def names() -> list[str]:
    """Return every shipped preset as `kind/name.yaml`."""
    return sorted(path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*.yaml"))


def kinds() -> list[str]:
    """Return the kinds of presets; a preset without a kind is a whole experiment."""
    return sorted({name.partition("/")[0] for name in names() if "/" in name})


def kind_of(key: str) -> str | None:
    """Return the kind of presets that a key takes; `None` if it takes none.

    Example:
        >>> kind_of("model.optimizer"), kind_of("trainer.callbacks[0]"), kind_of("trainer")
        ('optimizers', 'callbacks', None)
    """
    last = key.rpartition(".")[2].partition("[")[0]
    last = last.rpartition("_")[2]  # discriminator_optimizer
    return next((kind for kind in kinds() if kind in (last, f"{last}s", f"{last}es")), None)


def nearest(path: str, key: str = "") -> str:
    """Return ` Did you mean …?` for a preset that does not exist, or how to list the presets.

    Args:
        path: The preset that was given.
        key: The key that it was given for, whose kind the preset must have; empty where any will do.
    """
    known = [name for name in names() if not key or name.partition("/")[0] == kind_of(key)]
    # The folder and the ending would make any two presets of a kind similar.
    stems = {Path(name).stem: name for name in reversed(known)}
    beside = {stem: name for stem, name in stems.items() if Path(name).parent == Path(path).parent}
    for among in (beside, stems):
        if close := difflib.get_close_matches(Path(path).stem, among, n=1):
            return f" Did you mean {among[close[0]]}?"
    kind = kind_of(key) if key else next((kind for kind in kinds() if Path(path).parts[:1] == (kind,)), None)
    return f" `{' '.join(filter(None, ('descent presets', kind)))}` lists the shipped ones."


def resolve(text: str, folder: Path | None = None) -> str:
    """Return the path of a preset; a text that is not the path of a preset is returned as it is.

    Args:
        text: A value in a config or on the command line.
        folder: Folder of the file that contains the value; by default the working folder.

    Raises:
        PresetNotFoundError: The text looks like a preset (`losses/focl.yaml`), and there is none.
    """
    if not text.endswith(SUFFIXES) or "\n" in text:
        return text
    for base in (folder or Path.cwd(), Path.cwd()):
        if (base / text).is_file():
            return str((base / text).resolve()) if base != Path.cwd() else text
    found = shipped(text)
    if found is not None:
        return str(found)
    if Path(text).parts[:1] and Path(text).parts[0] in {*kinds(), "configs"}:
        raise PresetNotFoundError(f"preset not found: {text}.{nearest(text)}")
    return text


def _resolve_all(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _resolve_all(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve_all(item, folder) for item in value]
    return resolve(value, folder) if isinstance(value, str) else value


def load(text: str) -> Any:
    """Load YAML as jsonargparse does, and resolve the paths of presets in it."""
    import jsonargparse

    if text == "None":  # jsonargparse 4.53 passes this for a null on the command line two levels deep
        return None
    value = jsonargparse.get_loader("yaml")(text)
    if not isinstance(value, (dict, list)):
        return value
    return _resolve_all(value, Path(jsonargparse.typing.Path(".", mode="d").absolute))


def register() -> str:
    """Register `load` with jsonargparse, and return the name of its parser mode."""
    import yaml
    from jsonargparse import set_loader

    set_loader(MODE, load, exceptions=(yaml.YAMLError, PresetNotFoundError))
    return MODE
