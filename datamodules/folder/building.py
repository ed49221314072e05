"""Fill an image cache: one process at a time, whole or not at all, corrupt images named."""

import time
from pathlib import Path
from typing import Literal

from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from datamodules.folder.cache_file import CacheEntry, ImageCache
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.parallel_decoding import decode_all
from datamodules.folder.places import locked
from datamodules.folder.tree import Tree
from foundation.errors import UserError
from foundation.files import replacing

OnCorrupt = Literal["stop", "skip"]
_SHOWN = 5


def build(cache: ImageCache, source: Path, tree: Tree, form: ImageFormat, on_corrupt: OnCorrupt) -> CacheEntry:
    """Decode the images of ``tree`` into ``cache``; nothing to do if another process has just done so.

    Args:
        cache: In a folder that can be written to.
        source: Folder of the split.
        tree: Its images.
        form: What every image is turned into.
        on_corrupt: ``stop`` at images that cannot be decoded, or ``skip`` them and say how many.

    Raises:
        UserError: If images are corrupt; or, when they are skipped, if a class has no other.
        OSError: If the cache cannot be written.
    """
    with locked(cache.folder) as alone:
        entry = cache.read()
        if entry is not None and entry.digest == tree.digest and not (entry.skipped and on_corrupt == "stop"):
            return entry
        for leftover in cache.folder.glob(f".{cache.name}*.tmp") if alone else ():  # of a process that was killed
            leftover.unlink(missing_ok=True)
        start = time.perf_counter()
        with replacing(cache.pixel_file(tree.digest)) as part:
            decoded = decode_all(source, tree.names, form, part)
            if decoded.failures and on_corrupt == "stop":
                raise UserError(_corrupt(source, tree, decoded.failures))
            _remove_rows(part, set(decoded.failures), len(tree.names), form)
            counts = _remaining(tree, set(decoded.failures), source)
        entry = CacheEntry(
            digest=tree.digest,
            folders=tree.folders,
            counts=counts,
            shape=form.shape,
            sums=decoded.sums,
            squares=decoded.squares,
            skipped=len(decoded.failures),
        )
        cache.write(entry)
    _report(cache, source, tree, entry, time.perf_counter() - start)
    return entry


def _corrupt(source: Path, tree: Tree, failures: dict[int, str]) -> str:
    shown = "; ".join(f"{source / tree.names[row]}: {failures[row]}" for row in sorted(failures)[:_SHOWN])
    more = f"; and {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
    plural = "image" if len(failures) == 1 else "images"
    return (
        f"{len(failures)} corrupt {plural} in {source}: {shown}{more}. "
        "Repair or remove, or leave out with data.on_corrupt=skip."
    )


def _remaining(tree: Tree, failed: set[int], source: Path) -> dict[str, int]:
    counts, first = {}, 0
    for name, count in tree.counts.items():
        counts[name] = count - sum(row in failed for row in range(first, first + count))
        first += count
        if counts[name] == 0:
            raise UserError(f"all {count} images in {source / name} are corrupt.")
    return counts


def _remove_rows(file: Path, failed: set[int], rows: int, form: ImageFormat) -> None:
    """Close the gaps that failed images leave, image by image, and cut the file to its length."""
    if not failed:
        return
    size = form.height * form.width * form.shape[2]
    with file.open("r+b") as pixels:
        for place, row in enumerate(row for row in range(rows) if row not in failed):
            if place != row:
                pixels.seek(row * size)
                image = pixels.read(size)
                pixels.seek(place * size)
                pixels.write(image)
        pixels.truncate((rows - len(failed)) * size)


def _report(cache: ImageCache, source: Path, tree: Tree, entry: CacheEntry, seconds: float) -> None:
    rank_zero_info(
        f"Decoded {sum(entry.counts.values()):,} images of {source} in {seconds:.1f} s "
        f"into {cache.pixel_file(entry.digest)} ({entry.size / 2**20:,.1f} MiB)."
    )
    if tree.strangers:
        shown = ", ".join(tree.strangers[:_SHOWN]) + (", …" if len(tree.strangers) > _SHOWN else "")
        rank_zero_info(f"Left out {len(tree.strangers)} files of {source} that are no images by their ending: {shown}.")
    if entry.skipped:
        rank_zero_warn(f"Skipped {entry.skipped} corrupt images of {source}.")
