"""Hashes of the files of a split that is not opened: the test images while a run is trained."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from datamodules.folder.contents.image_index import ImageIndex, content_key, joined, name_key
from datamodules.folder.listing.layout import folders_by_class
from datamodules.folder.listing.tree import scan
from foundation.errors import UserError
from foundation.files import replacing
from foundation.hardware import usable_cores


def index_of_files(folder: Path, cache: Path) -> ImageIndex | None:
    """Return hashes of content and name of the images in class folders, without decoding them; None if there are none.

    They are kept in the cache until an image is added, removed or changed.

    Args:
        folder: Folder of the split.
        cache: Folder of the cache.
    """
    try:
        tree = scan(folder, folders_by_class(folder), needs_images=False)
    except (OSError, UserError):
        return None
    file = cache / "test-keys.npz"
    damaged = (ValueError, KeyError, EOFError, BadZipFile)
    with suppress(OSError, *damaged), np.load(file) as kept:
        if str(kept["digest"]) == tree.digest:
            return ImageIndex(torch.from_numpy(kept["table"]), kept["text"].tobytes(), 1)
    with ThreadPoolExecutor(usable_cores()) as pool:
        contents = list(pool.map(lambda name: _key(folder, name), tree.names))
    readable = [row for row, content in enumerate(contents) if content is not None]
    names = [tree.names[row] for row in readable]
    table = np.array([(contents[row], name_key(tree.names[row])) for row in readable], np.int64).reshape(-1, 2)
    with suppress(OSError), replacing(file) as part, part.open("wb") as target:
        np.savez(target, digest=tree.digest, table=table, text=np.frombuffer(joined(names), np.uint8))
    return ImageIndex(torch.from_numpy(table), joined(names), 1)


def _key(folder: Path, name: str) -> int | None:
    try:
        return content_key((folder / name).read_bytes())
    except OSError:
        return None
