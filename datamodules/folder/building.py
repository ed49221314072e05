"""Filling an image cache: one process at a time, completely or not at all, with corrupt images listed."""

import csv
import time
from collections import Counter
from pathlib import Path
from typing import Literal

from lightning.pytorch.utilities import rank_zero_info

from datamodules.folder.cache_file import CacheEntry, ImageCache, append_index
from datamodules.folder.contents.image_index import joined
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.listing.tree import Tree
from datamodules.folder.parallel_decoding import decode_all
from datamodules.folder.places import locked
from foundation.errors import UserError
from foundation.files import replacing, shown

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
            failures = decoded.failures
            if failures and on_corrupt == "stop":
                raise UserError(_corrupt(source, tree, failures))
            _remove_images(part, set(failures), len(tree.names), form)
            left = [row for row in range(len(tree.names)) if row not in failures]
            index, names = decoded.index[left], [tree.names[row] for row in left]
            totals = index[:, 1:].sum(0).reshape(2, -1).tolist()
            entry = CacheEntry(
                digest=tree.digest,
                folders=tree.folders,
                counts=_remaining_counts(tree, set(failures), source),
                shape=form.shape,
                sums=totals[0],
                squares=totals[1],
                skipped=len(failures),
                names_size=len(joined(names)),
                others=dict(Counter(reason for _, reason in tree.skipped)),
            )
            append_index(part, entry, index, names)
        list_skipped(cache.skipped_file, tree, failures)
        cache.write(entry)
    seconds = time.perf_counter() - start
    file = shown(cache.pixel_file(entry.digest))
    rank_zero_info(
        f"Decoded {entry.count:,} images of {shown(source)} in {seconds:.1f} s into {file} "
        f"({entry.size / 2**20:,.1f} MiB)."
    )
    return entry


def list_skipped(file: Path, tree: Tree, failures: dict[int, str]) -> None:
    """Write path and reason of everything that is not used, or remove the list of before."""
    rows = [*tree.skipped, *((tree.names[row], reason) for row, reason in failures.items())]
    if not rows:
        file.unlink(missing_ok=True)
        return
    with replacing(file) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(("path", "reason"))
        writer.writerows(sorted(rows))


def skipped_sentence(cache: ImageCache, source: Path, entry: CacheEntry) -> str | None:
    """Say how many files of a folder are not used, why, and which file lists them; None if all are used."""
    reasons = ({"corrupt": entry.skipped} if entry.skipped else {}) | entry.others
    if not reasons:
        return None
    total, counted = sum(reasons.values()), ", ".join(f"{reason} ({count:,})" for reason, count in reasons.items())
    files = f"{total:,} file{'' if total == 1 else 's'}"
    return f"Skipped {files} of {shown(source)}: {counted}. Listed in {shown(cache.skipped_file)}"


def _corrupt(source: Path, tree: Tree, failures: dict[int, str]) -> str:
    first = "; ".join(f"{source / tree.names[row]}: {failures[row]}" for row in sorted(failures)[:_SHOWN])
    more = f"; and {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
    plural = "image" if len(failures) == 1 else "images"
    return (
        f"{len(failures)} corrupt {plural} in {source}: {first}{more}. "
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
