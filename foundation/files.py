"""Replace files atomically and durably: a crash or a kill leaves the old file or the new one, never a part of it."""

import json
import math
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from foundation.errors import UserError


@contextmanager
def replacing(path: Path, keep: Path | None = None) -> Iterator[Path]:
    """Yield the path of a new file, which takes the place of `path` if all goes well, and is removed otherwise.

    The file is flushed to the disk before it is renamed, and the folder afterwards.

    Args:
        path: In a folder that exists; the new file lies there too, as a rename is atomic within one file system. A
            symbolic link is replaced, its target is left alone.
        keep: Name under which the file that stood at `path` stays.

    Raises:
        OSError: The file could not be written; what stood at `path` still stands there.

    Example:
        >>> folder = getfixture("tmp_path")
        >>> with replacing(folder / "a.txt") as new:
        ...     _ = new.write_text("whole")
        >>> [(file.name, file.read_text()) for file in folder.iterdir()]
        [('a.txt', 'whole')]
    """
    with _renamed_to(path, keep) as temporary:
        yield temporary
        _sync(temporary)


def replace_text(path: Path, text: str) -> None:
    """Write a text file with `replacing`; make its folder, and remove what killed processes left there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8")
    remove_leftovers(path.parent)


def link_durably(source: Path, path: Path, keep: Path | None = None) -> None:
    """Give `source` the second name `path`, atomically, without a copy where the file system has hard links.

    Args:
        source: A file in the same folder, flushed to the disk.
        path: Its second name.
        keep: Name under which the file that stood at `path` stays.

    Raises:
        OSError: It could not be done; what stood at `path` still stands there.
    """
    with _renamed_to(path, keep) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # no hard links here: FAT, some network file systems
            _copy(source, temporary)
            _sync(temporary)


@contextmanager
def _renamed_to(path: Path, keep: Path | None) -> Iterator[Path]:
    temporary = temporary_beside(path)
    try:
        yield temporary
        if keep is not None and path.is_file():
            link_durably(path, keep)
        temporary.replace(path)
        _sync(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            reason = f"{error.strerror or error}; not saved, what was saved before is untouched"
            raise OSError(error.errno or 0, reason, str(path)) from error
        raise


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("xb") as writer:
        while block := reader.read(1 << 20):
            writer.write(block)


def _sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk; Windows cannot flush a folder, and need not."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """Return a name in the same folder that no other process will choose, with the machine and process that made it."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def local_folder(name: str, path: str | os.PathLike[str]) -> Path:
    """Return a folder of this machine, with `~` replaced by the home folder.

    Raises:
        ValueError: It is a URL, such as `s3://…` or `memory://…`.

    Example:
        >>> local_folder("dirpath", "s3://bucket/run")
        Traceback (most recent call last):
        ValueError: dirpath must be a folder of this machine, got s3://bucket/run: files are replaced atomically by ...
    """
    if "://" in str(path):
        raise ValueError(
            f"{name} must be a folder of this machine, got {path}: files are replaced atomically by a rename, which "
            "such a store lacks. Save locally and copy the folder, or use Lightning's ModelCheckpoint."
        )
    return Path(path).expanduser()


def require_writable(folder: Path, option: str) -> None:
    """Check, before long work, that a folder can be written to, or made.

    Args:
        folder: The folder.
        option: The option by which the user chooses another one.

    Raises:
        UserError: A part of its path is a file, or is write-protected.
    """
    there = next(part for part in (folder, *folder.absolute().parents) if part.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        return
    reason = "write-protected" if there.is_dir() else "a file"
    raise UserError(f"results cannot be written to {folder}: {there} is {reason}; choose another place with {option}.")


def unused_name(path: Path) -> Path:
    """Return `path`, or `NAME-1`, `NAME-2`, … with the same suffix, whichever is first not to exist.

    Example:
        >>> folder = getfixture("tmp_path")
        >>> (folder / "report.txt").touch()
        >>> unused_name(folder / "report.txt").name, unused_name(folder / "other.txt").name
        ('report-1.txt', 'other.txt')
    """
    found, number = path, 0
    while found.exists() or found.is_symlink():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of processes of this machine that were killed while they wrote."""
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


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path as one would type it: relative to the working folder where it lies below."""
    absolute = Path(path).absolute()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


def strict_json(value: Any, indent: int | None = 2) -> str:
    """Return JSON of dicts, lists, numbers and strings, in which NaN and infinities are null.

    Example:
        >>> strict_json({"loss": float("inf"), "rates": [0.1, float("nan")]}, indent=None)
        '{"loss": null, "rates": [0.1, null]}'
    """
    return json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """Return the value with `None` in the place of NaN and infinities, in nested dicts, lists and tuples too."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
