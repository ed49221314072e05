"""Append size and SHA-256 to a checkpoint when it is written, and check them when it is read."""

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
HEADER = struct.Struct("<8sQQ")  # magic number, bytes before it, time of the save in ns
SEAL_SIZE = HEADER.size + hashlib.sha256().digest_size  # the hash covers everything before it
BUFFER_SIZE = 1 << 16  # bytes


class SealedWriter:
    """Write-only stream that hashes a zip archive while writing it; size and hash become the archive's comment.

    torch reads an archive with a comment like any other, but does not notice a flipped bit. The last two bytes of an
    archive are the length of its comment, so the stream keeps two bytes back until `seal`.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.digest = hashlib.sha256()
        self.length = 0
        self.buffer = bytearray()
        self.error: OSError | None = None
        self.hasher = ThreadPoolExecutor(1, thread_name_prefix="hash")

    def write(self, data: Any) -> int:
        """Take the next bytes; an OSError is kept, because torch's writer replaces it by one of its own."""
        view = memoryview(data).cast("B")
        if len(view) < BUFFER_SIZE:  # torch writes about ten bytes at a time between the tensors
            self.buffer += view
            if len(self.buffer) > BUFFER_SIZE:
                self._write_hashed(self.buffer[:-2])
                del self.buffer[:-2]
        else:
            self._write_hashed(self.buffer)
            self._write_hashed(view[:-2])
            self.buffer = bytearray(view[-2:])
        return len(view)

    def flush(self) -> None:
        """Do nothing: `seal` writes the rest."""

    def seal(self) -> None:
        """Write the archive's last two bytes, then the comment."""
        if self.buffer[-2:] != b"\0\0":
            raise ValueError("only a zip archive without a comment can be sealed.")
        self._write_hashed(self.buffer[:-2] + struct.pack("<H", SEAL_SIZE))
        self._write_hashed(HEADER.pack(MAGIC, self.length, time.time_ns()))  # hashed as well
        self._write_hashed(self.digest.digest())

    def _write_hashed(self, data: Any) -> None:
        self.length += len(data)
        view = memoryview(data)
        hashing = self.hasher.submit(self.digest.update, view)  # in parallel with the write: both release the GIL
        try:
            while view:
                view = view[os.write(self.descriptor, view) :]
        except OSError as error:
            self.error = error
            raise
        finally:
            hashing.result()


def replace_durably(path: Path, write: Callable[[SealedWriter], None], keep: Path | None = None) -> None:
    """Replace ``path`` atomically: write a temporary file beside it, fsync, rename, fsync the folder.

    Args:
        path: Of the file; a symbolic link is replaced, its target is not touched.
        write: Writes a zip archive without a comment to the stream that it is given.
        keep: New name for the old file at ``path``.

    Raises:
        OSError: The file could not be written; ``path`` is unchanged.
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
    """What `SealedWriter` appends to a checkpoint."""

    length: int
    saved_ns: int
    digest: bytes


def seal_of(file: BinaryIO) -> Seal | None:
    """Return the seal at the end of a checkpoint; None for a file of another program, or one that is cut short."""
    file.seek(max(0, size_of(file) - SEAL_SIZE))
    tail = file.read()
    if len(tail) != SEAL_SIZE or not tail.startswith(MAGIC):
        return None
    _, length, saved_ns = HEADER.unpack_from(tail)
    return Seal(length, saved_ns, tail[HEADER.size :])


def size_of(file: BinaryIO) -> int:
    """Return the size of an open file, even if another process has replaced it by a new one meanwhile."""
    return os.fstat(file.fileno()).st_size


def damage(path: Path) -> str:
    """Say what is wrong with the bytes of a checkpoint; ``""`` if nothing is.

    A sealed file is checked against its size and hash, every byte of it. A file of another program is checked as a zip
    archive: its table of contents and the CRC of each record.
    """
    with path.open("rb") as file:
        return damage_of(file)


def damage_of(file: BinaryIO) -> str:
    """Return the `damage` of an open file."""
    size, seal = size_of(file), seal_of(file)
    if seal is None:
        return _damage_of_zip(file, size)
    if seal.length != size - SEAL_SIZE:
        return f"it has {size - SEAL_SIZE} bytes where {seal.length} were written"
    whole = digest_of(file, size - SEAL_SIZE + HEADER.size) == seal.digest
    return "" if whole else "its content does not match the hash saved with it"


def digest_of(file: BinaryIO, length: int) -> bytes:
    """Return the SHA-256 of the first ``length`` bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    while length > 0 and (block := file.read(min(length, 1 << 20))):
        digest.update(block)
        length -= len(block)
    return digest.digest()


def _damage_of_zip(file: BinaryIO, size: int) -> str:
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
    """Return when a checkpoint was saved, in ns: from its seal, which a copy keeps, else from the file system."""
    with path.open("rb") as file:
        seal = seal_of(file)
        return os.fstat(file.fileno()).st_mtime_ns if seal is None else seal.saved_ns
