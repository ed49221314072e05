"""Find the files that a table of labels names."""

import hashlib
import os
import stat
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from datamodules.folder.listing.junk import is_image, is_junk
from datamodules.folder.listing.tree import Tree
from foundation.errors import UserError

_SHOWN = 5


def scan_listed(root: Path, paths: Iterable[str], key: str, may_miss: bool) -> Tree:
    """List the images that a table names: relative to the root, or absolute; their extension may be left out.

    Args:
        root: Folder of the images.
        paths: As in the table.
        key: Stands for the only class of the tree.
        may_miss: Whether a missing file is passed over, and listed.

    Raises:
        UserError: A file is missing.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"data.root: there is no folder {root}; it holds the images that data.labels names.")
    tree, missing = Tree(), []
    below: dict[str, str] | None = None
    found = []
    for path in paths:
        name, status = path, _file(root, path)
        if status is None:
            below = _without_extension(root) if below is None else below
            name = below.get(path, "")
            status = _file(root, name) if name else None
        if status is None:
            missing.append(path)
            continue
        found.append((name, status.st_size, status.st_mtime_ns))
    if missing and not (may_miss and found):
        raise UserError(_missing(root, missing, len(missing) + len(found)))
    tree.skipped = [(path, "missing") for path in missing]
    found.sort()
    tree.names = [name for name, _, _ in found]
    tree.counts = {key: len(found)}
    digest = hashlib.blake2b("\0".join(tree.names).encode("utf-8", "surrogateescape"), digest_size=16)
    digest.update(np.array([(size, time) for _, size, time in found], dtype=np.int64).tobytes())
    tree.digest = digest.hexdigest()
    folders = {os.path.dirname(name) or "." for name in tree.names}  # noqa: PTH120
    tree.folders = {folder: (root / folder).stat().st_mtime_ns for folder in sorted(folders)}
    return tree


def _file(root: Path, name: str) -> os.stat_result | None:
    try:
        status = os.stat(os.path.join(root, name))  # noqa: PTH116, PTH118 - a Path for each of 60,000 files is slow
    except (OSError, ValueError):  # a name with a zero byte
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _without_extension(root: Path) -> dict[str, str]:
    """Return the images below a root by their paths without extension."""
    found = {}
    for top, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not is_junk(name)]
        above = os.path.relpath(top, root)
        for file in files:
            if is_image(file) and not is_junk(file):
                path = file if above == "." else f"{above}/{file}"
                found[os.path.splitext(path)[0]] = path  # noqa: PTH122
    return found


def _missing(root: Path, missing: list[str], total: int) -> str:
    shown = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
    first = Path(missing[0])
    beside = [entry.name for entry in os.scandir(root / first.parent)] if (root / first.parent).is_dir() else []
    similar = get_close_matches(first.name, beside, n=1)
    hint = f" Did you mean {similar[0]}?" if similar and len(missing) < total else ""
    return (
        f"{len(missing)} of {total} images of data.labels are not in {root}: {shown}.{hint} Paths are relative to "
        "data.root; with data.on_corrupt=skip missing images are passed over."
    )
