"""A file that is there whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
