"""A file that is either the old one or the new one, whole, whatever happens while it is written."""

import hashlib
import os
import re
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MAGIC = b"DESCENT1"
HEADER = struct.Struct("<8sQQ")  # magic, bytes before it, time of the save in ns
SEAL_SIZE = HEADER.size + hashlib.sha256().digest_size  # the hash is of everything before it
GATHERED = 1 << 16  # bytes


class SealedWriter:
    """Write-only stream that hashes a zip archive on its way to disk; size and hash become the archive's comment.

    torch reads an archive with a comment like any other and, unlike here, loads a flipped bit without a word. The last
    two bytes of an archive are the length of its comment, so those are held back until the end is known.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.digest = hashlib.sha256()
        self.length = 0
        self.held = bytearray()
        self.error: OSError | None = None
        self.hasher = ThreadPoolExecutor(1, thread_name_prefix="hash")

    def write(self, data: Any) -> int:
        """Take the next bytes; a failure is kept, because torch's writer hides it behind one of its own."""
        view = memoryview(data).cast("B")
        if len(view) < GATHERED:  # torch writes pieces of some ten bytes between the tensors
            self.held += view
            if len(self.held) > GATHERED:
                self._emit(self.held[:-2])
                del self.held[:-2]
        else:
            self._emit(self.held)
            self._emit(view[:-2])
            self.held = bytearray(view[-2:])
        return len(view)

    def flush(self) -> None:
        """What is held back has to wait for the end."""

    def seal(self) -> None:
        """Write the archive's last two bytes, then the comment."""
        if self.held[-2:] != b"\0\0":
            raise ValueError("only a zip archive without a comment can be sealed.")
        self._emit(self.held[:-2] + struct.pack("<H", SEAL_SIZE))
        self._emit(HEADER.pack(MAGIC, self.length, time.time_ns()))  # hashed too: its result is awaited in _emit
        self._emit(self.digest.digest())

    def _emit(self, data: Any) -> None:
        self.length += len(data)
        view = memoryview(data)
        hashing = self.hasher.submit(self.digest.update, view)  # while it is written: both leave Python's lock
        try:
            while view:
                view = view[os.write(self.descriptor, view) :]
        except OSError as error:
            self.error = error
            raise
        finally:
            hashing.result()


def replace_durably(path: Path, write: Callable[[SealedWriter], None], keep: Path | None = None) -> None:
    """Put what ``write`` writes in the place of ``path``: temporary file beside it, fsync, replace, fsync of folder.

    Args:
        path: The file; a symbolic link there is replaced, its target is left alone.
        write: Writes a zip archive without a comment into the stream that it gets.
        keep: Name under which the file that stood at ``path`` stays.

    Raises:
        OSError: The file could not be written; what stood at ``path`` still stands there.
    """
    with placed_at(path, keep) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            _write_sealed(descriptor, write)
        finally:
            os.close(descriptor)


def _write_sealed(descriptor: int, write: Callable[[SealedWriter], None]) -> None:
    stream = SealedWriter(descriptor)
    with stream.hasher:
        try:
            write(stream)
        except Exception:
            if stream.error is not None:
                raise stream.error from None
            raise
        stream.seal()
    os.fsync(descriptor)


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
