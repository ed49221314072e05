"""A file that is there whole or not at all."""

import json
import math
import os
import re
import secrets
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def link_durably(source: Path, path: Path, keep: Path | None = None) -> None:
    """Give ``source`` the second name ``path``, atomically, without a copy where the file system has hard links.

    Args:
        source: A file in the same folder.
        path: Its second name.
        keep: Name under which the file that stood at ``path`` stays.

    Raises:
        OSError: It could not be done; what stood at ``path`` still stands there.
    """
    with placed_at(path, keep) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # no hard links here: FAT, some network file systems
            _copy(source, temporary)


@contextmanager
def placed_at(path: Path, keep: Path | None) -> Iterator[Path]:
    """Give a temporary name; what is there at the end of the block takes the place of ``path``, or goes on an error."""
    temporary = temporary_beside(path)
    try:
        yield temporary
        if keep is not None and path.is_file():
            link_durably(path, keep)
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        raise (not_saved(error, path) if isinstance(error, OSError) else error) from error


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("xb") as writer:
        while block := reader.read(1 << 20):
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())


def temporary_beside(path: Path) -> Path:
    """A name in the same folder, so that the replace never crosses file systems, that no other process will choose."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of processes of this machine that were killed in the midst of a save."""
    ours = re.compile(rf"\..+\.{re.escape(socket.gethostname())}\.(\d+)\.[0-9a-f]{{8}}\.tmp")
    for path in folder.glob(".*.tmp"):
        name = ours.fullmatch(path.name)
        if name and not _is_alive(int(name[1])):
            path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def not_saved(error: OSError, path: Path) -> OSError:
    """The same kind of error, naming the file and saying what is still there."""
    reason = error.strerror or str(error)
    return OSError(error.errno or 0, f"{reason}; not saved, what was saved before is untouched", str(path))


def strict_json(value: Any, indent: int | None = 2) -> str:
    """Text of a value of dicts, lists, numbers and strings; what is not finite becomes null.

    Example:
        >>> strict_json({"loss": float("inf"), "rates": [0.1, float("nan")]}, indent=None)
        '{"loss": null, "rates": [0.1, null]}'
    """
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


PART = ".part"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write the yielded file instead of ``path``: it takes the place of ``path`` if all goes well, else it is removed.

    Flushed to the disk before and the folder after, so that a crash of the machine leaves the old or the new one.

    Args:
        path: In a folder that exists; the temporary file lies there too, as a rename is atomic within one filesystem.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replacing(folder / "a.txt") as part:
        ...     _ = part.write_text("whole")
        >>> [(file.name, file.read_text()) for file in folder.iterdir()]
        [('a.txt', 'whole')]
    """
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{PART}")
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        yield part
        os.fsync(handle)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    _flush_folder(path.parent)


def save_whole(path: Path, text: str) -> None:
    """Write a text file so that a kill leaves the old one or the new one; parts that earlier kills left behind go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    for left in path.parent.glob(f"{path.name}.*{PART}"):
        left.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
