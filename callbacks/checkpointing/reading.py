"""Read a checkpoint file safely, and find the newest valid one in a folder."""

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import torch

from callbacks.checkpointing.seal import damage, damage_of, saved_ns, seal_of
from foundation.compat.torch import begins_like_torch
from foundation.errors import UserError

PATTERN = "*.ckpt"
BEST, LAST, PREVIOUS, EXCEPTION = "best.ckpt", "last.ckpt", "previous.ckpt", "exception.ckpt"
NO_OTHER = "There is no valid checkpoint beside it."


def newest_valid(folder: Path, exclude: Path | None = None) -> Path | None:
    """Return the undamaged checkpoint that was saved last, or None.

    Args:
        folder: Where to look; subfolders are not searched.
        exclude: A file to leave out.
    """
    files = list(folder.glob(PATTERN)) if folder.is_dir() else []
    found = [path for path in files if path.is_file() and path != exclude and path.name != EXCEPTION]
    return next((path for path in sorted(found, key=saved_ns, reverse=True) if not damage(path)), None)


def last_valid(folder: Path) -> tuple[Path | None, str]:
    """Return ``last.ckpt``, or the newest valid checkpoint if that one is missing or damaged.

    Returns:
        The file, or None if none is valid; and a sentence about it if it is not ``last.ckpt``, else ``""``.
    """
    last = folder / LAST
    wrong = damage(last) if last.is_file() else "it is missing"
    if not wrong:
        return last, ""
    found = newest_valid(folder, exclude=last)
    if found is None:
        return None, f"{last}: {wrong}. {NO_OTHER}"
    return found, f"{last}: {wrong}. Using {found.name}, the newest valid checkpoint beside it."


def read_checkpoint(
    path: Path, map_location: Any = None, weights_only: bool | None = None, any_sealed: bool = False
) -> dict[str, Any]:
    """Verify the bytes of a checkpoint and load it; pickled code in it does not run.

    Args:
        path: Of the file.
        map_location: As in ``torch.load``, but None is the CPU: a checkpoint of a GPU can be read without one, and
            the processes of a run do not all read into the first GPU.
        weights_only: None means True. Use False only for a file whose origin you trust.
        any_sealed: Whether a file that Descent has written may hold anything: Lightning's launchers of processes pass
            bare weights through the checkpoint IO.

    Raises:
        FileNotFoundError: No such file; the message names the newest valid one in the same folder.
        UserError: It is damaged, is not a checkpoint, or holds objects that could run code.
    """
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist.{_alternative(path)}")
    with path.open("rb") as file:
        if wrong := damage_of(file):
            raise UserError(f"checkpoint {path} is damaged: {wrong}.{_alternative(path)}")
        checkpoint = _loaded(file, path, map_location, weights_only is not False)
        if any_sealed and seal_of(file) is not None:
            return dict(checkpoint)
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        found = type(checkpoint).__name__
        if isinstance(checkpoint, dict):
            found = f"a dict with {', '.join(map(str, list(checkpoint)[:5]))}"
        raise UserError(
            f"{path} is not a checkpoint of a training run: expected a dict with a state_dict, found {found}."
        )
    return checkpoint


def _loaded(file: BinaryIO, path: Path, map_location: Any, weights_only: bool) -> Any:
    file.seek(0)
    if (start := file.read(2)) and not begins_like_torch(start):
        raise UserError(f"{path} is not a checkpoint of torch: it begins with {start!r}.{_alternative(path)}")
    file.seek(0)
    try:
        return torch.load(file, map_location=map_location or "cpu", weights_only=weights_only)
    except pickle.UnpicklingError as error:
        raise UserError(_refusal(path, str(error))) from error
    except (OSError, MemoryError):
        raise
    except Exception as error:  # bytes of another kind are read as instructions, which fail in any way
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{path} is not a checkpoint of torch: {reason}.{_alternative(path)}") from error


def step_of(path: Path) -> int:
    """Return the optimizer step at which a checkpoint was saved."""
    return int(read_checkpoint(path)["global_step"])


def _refusal(path: Path, message: str) -> str:
    found = next((line.strip() for line in message.splitlines() if "GLOBAL" in line or "Unsupported" in line), message)
    return (
        f"checkpoint {path} is refused: it holds Python objects that could run code when loaded ({found[:160]})."
        " If you trust where it comes from: --weights_only=false."
    )


def _alternative(path: Path) -> str:
    other = newest_valid(path.parent, exclude=path)
    return f" The newest valid checkpoint beside it is {other}." if other else f" {NO_OTHER}"
