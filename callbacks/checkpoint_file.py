"""Checkpoint files as they lie on disk: read one safely, judge it, find the newest valid one in a folder."""

import hashlib
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from callbacks.durable_file import MAGIC, SEAL

PATTERN = "*.ckpt"


def damage(path: Path) -> str:
    """Say what is wrong with the bytes of a checkpoint, or nothing: ``""``.

    A file of ours carries its size and hash, and every byte is checked against them. A file of another program is
    checked as far as a zip archive goes: its table of contents and the CRC of each record.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - SEAL.size))
        tail = file.read()
        if len(tail) == SEAL.size and tail.startswith(MAGIC):
            _, length, expected = SEAL.unpack(tail)
            if length != size - SEAL.size:
                return f"it has {size - SEAL.size} bytes where {length} were written"
            file.seek(0)
            return "" if _digest(file, length) == expected else "its content does not match the hash saved with it"
    return _damage_of_foreign(path, size)


def _digest(file: Any, length: int) -> bytes:
    digest = hashlib.sha256()
    while length > 0 and (block := file.read(min(length, 1 << 20))):
        digest.update(block)
        length -= len(block)
    return digest.digest()


def _damage_of_foreign(path: Path, size: int) -> str:
    if size == 0:
        return "it is empty"
    if not zipfile.is_zipfile(path):
        return "it is cut short or was never a checkpoint"
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        return f"it cannot be unpacked ({error})"
    return f"its record {broken} does not match its checksum" if broken else ""


def newest_valid(folder: Path, besides: Path | None = None) -> Path | None:
    """The newest checkpoint in ``folder`` whose bytes are whole, or None.

    Args:
        folder: Where to look; subfolders are not searched.
        besides: A file to leave out.
    """
    found = [path for path in folder.glob(PATTERN) if path.is_file() and path != besides] if folder.is_dir() else []
    for path in sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        if not damage(path):
            return path
    return None


def read_checkpoint(path: Path, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
    """Load a checkpoint, having verified its bytes; pickled code in it never runs.

    Args:
        path: The file.
        map_location: As in ``torch.load``.
        weights_only: None means True; False only for a file whose origin is trusted.

    Raises:
        FileNotFoundError: No such file; names the newest valid one in the same folder.
        MisconfigurationException: Damaged, not a checkpoint, or holding objects that could run code.
    """
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist.{_way_out(path)}")
    if wrong := damage(path):
        raise MisconfigurationException(f"checkpoint {path} is damaged: {wrong}.{_way_out(path)}")
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=weights_only is not False)
    except pickle.UnpicklingError as error:
        raise MisconfigurationException(_refusal(path, str(error))) from error
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise MisconfigurationException(f"{path} is not a checkpoint of torch: {reason}.{_way_out(path)}") from error
    if not isinstance(checkpoint, dict):
        raise MisconfigurationException(
            f"{path} is not a checkpoint of a training run: expected a dict, found {type(checkpoint).__name__}."
        )
    return checkpoint


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
