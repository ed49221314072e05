"""Checkpoint files as they lie on disk: read one safely, judge it, find the newest valid one in a folder."""

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import torch

from callbacks.checkpointing.seal import damage, damage_of, saved_ns
from foundation.errors import UserError

PATTERN = "*.ckpt"
BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"


def newest_valid(folder: Path, besides: Path | None = None) -> Path | None:
    """The checkpoint in ``folder`` that was saved last among those whose bytes are whole, or None.

    Args:
        folder: Where to look; subfolders are not searched.
        besides: A file to leave out.
    """
    found = [path for path in folder.glob(PATTERN) if path.is_file() and path != besides] if folder.is_dir() else []
    return next((path for path in sorted(found, key=saved_ns, reverse=True) if not damage(path)), None)


def last_valid(folder: Path) -> tuple[Path | None, str]:
    """What "last" means: ``last.ckpt``, or the newest valid checkpoint where that one is missing or damaged.

    Returns:
        The file, None where nothing valid is there; and a sentence if it is not ``last.ckpt``, else ``""``.
    """
    last = folder / LAST
    wrong = damage(last) if last.is_file() else "it is missing"
    if not wrong:
        return last, ""
    found = newest_valid(folder, besides=last)
    if found is None:
        return None, f"{last}: {wrong}, and there is no other valid checkpoint in its folder."
    return found, f"{last}: {wrong}. Going on from {found.name}, the newest valid checkpoint beside it."


def read_checkpoint(path: Path, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
    """Load a checkpoint, having verified its bytes; pickled code in it never runs.

    Args:
        path: The file.
        map_location: As in ``torch.load``.
        weights_only: None means True; False only for a file whose origin is trusted.

    Raises:
        FileNotFoundError: No such file; names the newest valid one in the same folder.
        UserError: Damaged, not a checkpoint, or holding objects that could run code.
    """
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist.{_way_out(path)}")
    with path.open("rb") as file:
        if wrong := damage_of(file):
            raise UserError(f"checkpoint {path} is damaged: {wrong}.{_way_out(path)}")
        checkpoint = _loaded(file, path, map_location, weights_only is not False)
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        found = (
            f"a dict with {', '.join(map(str, list(checkpoint)[:5]))}"
            if isinstance(checkpoint, dict)
            else type(checkpoint).__name__
        )
        raise UserError(
            f"{path} is not a checkpoint of a training run: expected a dict with a state_dict, found {found}."
        )
    return checkpoint


def _loaded(file: BinaryIO, path: Path, map_location: Any, weights_only: bool) -> Any:
    file.seek(0)
    try:
        return torch.load(file, map_location=map_location, weights_only=weights_only)
    except pickle.UnpicklingError as error:
        raise UserError(_refusal(path, str(error))) from error
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a checkpoint of torch: {reason}.{_way_out(path)}") from error


def step_of(path: Path) -> int:
    """The optimizer step at which a checkpoint was saved."""
    return int(read_checkpoint(path)["global_step"])


def _refusal(path: Path, message: str) -> str:
    found = next((line.strip() for line in message.splitlines() if "GLOBAL" in line or "Unsupported" in line), message)
    return (
        f"checkpoint {path} is refused: it holds Python objects that could run code when loaded ({found[:160]})."
        " If you trust where it comes from: --weights_only=false."
    )


def _way_out(path: Path) -> str:
    other = newest_valid(path.parent, besides=path)
    return (
        f" The newest valid checkpoint beside it is {other}." if other else " There is no valid checkpoint beside it."
    )
