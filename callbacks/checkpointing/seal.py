"""A file that is either the old one or the new one, whole, whatever happens while it is written."""

import hashlib
import os
import struct
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from foundation.files import replacing

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
    with replacing(path, keep) as temporary:
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


def saved_ns(path: Path) -> int:
    """When a checkpoint was saved, in ns, as its seal says, which outlives a copy; else when the file was changed."""
    with path.open("rb") as file:
        seal = seal_of(file)
        return os.fstat(file.fileno()).st_mtime_ns if seal is None else seal.saved_ns
