"""Location of the image cache on disk, and the lock that lets one process at a time write to it."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_info

NAME = ".descent_cache"


def cache_folders(root: Path, chosen: Path | None) -> list[Path]:
    """Return the folders in which the cache of ``root`` is searched, in this order.

    These are ``.descent_cache`` beside the images and a folder in the user's cache folder.

    Args:
        root: Folder of the images.
        chosen: Folder to use instead of these two; each root gets a folder of its own in it.

    Example:
        >>> cache_folders(Path("images"), None)[0].as_posix()
        'images/.descent_cache'
    """
    own = f"{root.name}-{hashlib.blake2b(str(root.resolve()).encode(), digest_size=6).hexdigest()}"
    if chosen is not None:
        return [chosen / own]
    return [root / NAME, Path.home() / ".cache" / "descent" / own]


def writable_folder(candidates: list[Path]) -> Path:
    """Return the first candidate that can be written to, creating it if necessary; report if it is not the first.

    Raises:
        PermissionError: If no candidate can be written to.
    """
    reasons = []
    for folder in candidates:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f"probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            reasons.append(f"{folder} ({error.strerror})")
            continue
        if reasons:
            rank_zero_info(f"The image cache is written to {folder}; not writable: {', '.join(reasons)}.")
        return folder
    raise PermissionError(
        f"no writable folder for the image cache: {', '.join(reasons)}; set data.cache_dir to a folder of yours."
    )


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; wait, and say so, while another process holds it. It ends with the process.

    Yields whether the lock is held. It is not on a filesystem without locks, where two processes may both do the work.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            rank_zero_info(f"Waiting for another process that is filling {folder}.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(handle)
