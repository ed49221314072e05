"""Checkpoint files as they lie on disk: read one safely, judge it, find the newest valid one in a folder."""

import hashlib
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from callbacks.durable_file import HEADER, MAGIC, SEAL_SIZE

PATTERN = "*.ckpt"
BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"


class Seal(NamedTuple):
    """What our writer appends to a checkpoint."""

    length: int
    saved_ns: int
    digest: bytes


def seal_of(file: BinaryIO) -> Seal | None:
    """The seal at the end of a checkpoint of ours; None for a file of another program, or one cut short."""
    file.seek(max(0, size_of(file) - SEAL_SIZE))
    tail = file.read()
    if len(tail) != SEAL_SIZE or not tail.startswith(MAGIC):
        return None
    _, length, saved_ns = HEADER.unpack_from(tail)
    return Seal(length, saved_ns, tail[HEADER.size :])


def size_of(file: BinaryIO) -> int:
    """Bytes of an open file: what was opened, also when another process has put a new one in its place."""
    return os.fstat(file.fileno()).st_size


def damage(path: Path) -> str:
    """Say what is wrong with the bytes of a checkpoint, or nothing: ``""``.

    A file of ours carries its size and hash, and every byte is checked against them. A file of another program is
    checked as far as a zip archive goes: its table of contents and the CRC of each record.
    """
    with path.open("rb") as file:
        return damage_of(file)


def damage_of(file: BinaryIO) -> str:
    """`damage` of an open file."""
    size, seal = size_of(file), seal_of(file)
    if seal is None:
        return _damage_of_foreign(file, size)
    if seal.length != size - SEAL_SIZE:
        return f"it has {size - SEAL_SIZE} bytes where {seal.length} were written"
    whole = digest_of(file, size - SEAL_SIZE + HEADER.size) == seal.digest
    return "" if whole else "its content does not match the hash saved with it"


def digest_of(file: BinaryIO, length: int) -> bytes:
    """SHA-256 of the first ``length`` bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    while length > 0 and (block := file.read(min(length, 1 << 20))):
        digest.update(block)
        length -= len(block)
    return digest.digest()


def _damage_of_foreign(file: BinaryIO, size: int) -> str:
    if size == 0:
        return "it is empty"
    if not zipfile.is_zipfile(file):
        return "it is cut short or was never a checkpoint"
    try:
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        return f"it cannot be unpacked ({error})"
    return f"its record {broken} does not match its checksum" if broken else ""


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


def saved_ns(path: Path) -> int:
    """When a checkpoint was saved, in ns, as its seal says, which outlives a copy; else when the file was changed."""
    with path.open("rb") as file:
        seal = seal_of(file)
        return os.fstat(file.fileno()).st_mtime_ns if seal is None else seal.saved_ns


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
    with path.open("rb") as file:
        if wrong := damage_of(file):
            raise MisconfigurationException(f"checkpoint {path} is damaged: {wrong}.{_way_out(path)}")
        checkpoint = _loaded(file, path, map_location, weights_only is not False)
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        found = (
            f"a dict with {', '.join(map(str, list(checkpoint)[:5]))}"
            if isinstance(checkpoint, dict)
            else type(checkpoint).__name__
        )
        raise MisconfigurationException(
            f"{path} is not a checkpoint of a training run: expected a dict with a state_dict, found {found}."
        )
    return checkpoint


def _loaded(file: BinaryIO, path: Path, map_location: Any, weights_only: bool) -> Any:
    file.seek(0)
    try:
        return torch.load(file, map_location=map_location, weights_only=weights_only)
    except pickle.UnpicklingError as error:
        raise MisconfigurationException(_refusal(path, str(error))) from error
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise MisconfigurationException(f"{path} is not a checkpoint of torch: {reason}.{_way_out(path)}") from error


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
