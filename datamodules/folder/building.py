"""Filling an image cache: one process at a time, completely or not at all, with corrupt images listed."""

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
    """Decode the images of ``tree`` into ``cache``, unless another process has just done so.

    Args:
        cache: Cache in a writable folder.
        source: Folder of the split.
        tree: The images in it.
        form: Format of the decoded images.
        on_corrupt: ``stop`` at images that cannot be decoded, or ``skip`` them and report how many.

    Raises:
        UserError: If images are corrupt; or, when they are skipped, if a class has no others.
        OSError: If the cache cannot be written.
    """
    with locked(cache.folder) as is_locked:
        entry = cache.read()
        if entry is not None and entry.digest == tree.digest and not (entry.skipped and on_corrupt == "stop"):
            return entry
        for leftover in cache.folder.glob(f".{cache.name}*.tmp") if is_locked else ():  # of a process that was killed
            leftover.unlink(missing_ok=True)
        start = time.perf_counter()
        with replacing(cache.pixel_file(tree.digest)) as part:
            part.touch()  # the decoding processes write into an existing file
            decoded = decode_all(source, tree.names, form, part)
            if decoded.failures and on_corrupt == "stop":
                raise UserError(_corrupt(source, tree, decoded.failures))
            _remove_images(part, set(decoded.failures), len(tree.names), form)
            counts = _remaining_counts(tree, set(decoded.failures), source)
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
        "Repair or remove them, or skip them with data.on_corrupt=skip."
    )


def _remaining_counts(tree: Tree, failed: set[int], source: Path) -> dict[str, int]:
    counts, first = {}, 0
    for name, count in tree.counts.items():
        counts[name] = count - sum(row in failed for row in range(first, first + count))
        first += count
        if counts[name] == 0:
            raise UserError(f"all {count} images in {source / name} are corrupt.")
    return counts


def _remove_images(file: Path, failed: set[int], rows: int, form: ImageFormat) -> None:
    """Move the images that follow a failed one forward, image by image, and truncate the file."""
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
    if tree.other_files:
        shown = ", ".join(tree.other_files[:_SHOWN]) + (", …" if len(tree.other_files) > _SHOWN else "")
        rank_zero_info(f"Ignored {len(tree.other_files)} files of {source} without an image extension: {shown}.")
    if entry.skipped:
        rank_zero_warn(f"Skipped {entry.skipped} corrupt images of {source}.")
