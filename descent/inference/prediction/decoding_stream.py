"""Decode image files in other processes while the network computes."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from datamodules.folder.decoding import ImageFormat, Pixels, decode
from datamodules.folder.parallel_decoding import decoding_pool
from foundation.hardware import usable_cores

Decoded = tuple[Pixels, dict[int, str]]
"""The images that could be decoded, and why others could not be, by their position."""
Chunk = tuple[range, Pixels, dict[int, str]]

_CHUNK_SIZE = 64  # images per task, at most


@dataclass
class DecodedBatch:
    """A batch of images, in the order of the files.

    Args:
        pixels: uint8 `(B, H, W, C)`, the images that could be decoded.
        rows: Their indices in the list of files, `B` of them.
        failures: Why other files of the batch could not be decoded, by index.
    """

    pixels: Tensor
    rows: list[int]
    failures: dict[int, str] = field(default_factory=dict)


def decoded_batches(
    paths: list[str], form: ImageFormat, batch_size: int, workers: int | None = None
) -> Iterator[DecodedBatch]:
    """Decode files in order, at most three batches ahead of the consumer.

    The processes send pixels through a pipe, not through shared memory, of which containers have little.

    Args:
        paths: The files.
        form: Size, mode and way of resizing.
        batch_size: Files per batch, ≥ 1; a corrupt file makes its batch smaller.
        workers: Number of processes, ≥ 1; by default one per usable core.

    Raises:
        ChildProcessError: A process was killed.
    """
    chunks_per_batch = -(-batch_size // _CHUNK_SIZE)
    size = -(-batch_size // chunks_per_batch)
    starts = range(0, len(paths), batch_size)
    ends = {start: min(start + batch_size, len(paths)) for start in starts}
    chunks = [range(i, min(i + size, ends[start])) for start in starts for i in range(start, ends[start], size)]
    batch_ends = set(ends.values())
    workers = min(workers or usable_cores(), len(chunks))
    batch: list[Chunk] = []
    with decoding_pool(workers) as pool:
        try:
            for chunk in _in_order(pool, chunks, paths, form, max(3 * chunks_per_batch, 2 * workers)):
                batch.append(chunk)
                if chunk[0].stop in batch_ends:
                    yield _join(batch)
                    batch = []
        except BrokenProcessPool as error:
            raise ChildProcessError("a process that decoded images was killed; is the memory full?") from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _in_order(pool: Executor, chunks: list[range], paths: list[str], form: ImageFormat, ahead: int) -> Iterator[Chunk]:
    waiting: deque[tuple[range, Future[Decoded]]] = deque()
    for chunk in chunks:
        waiting.append((chunk, pool.submit(_decode, [paths[row] for row in chunk], form)))
        if len(waiting) >= ahead:
            rows, future = waiting.popleft()
            yield rows, *future.result()
    for rows, future in waiting:
        yield rows, *future.result()


def _join(chunks: list[Chunk]) -> DecodedBatch:
    pixels = [torch.from_numpy(values) for _, values, _ in chunks]
    failures = {rows.start + place: reason for rows, _, failed in chunks for place, reason in failed.items()}
    rows = [row for rows, _, _ in chunks for row in rows if row not in failures]
    return DecodedBatch(pixels[0] if len(pixels) == 1 else torch.cat(pixels), rows, failures)


def _decode(paths: list[str], form: ImageFormat) -> Decoded:
    pixels: Pixels = np.empty((len(paths), *form.shape), dtype=np.uint8)
    failures: dict[int, str] = {}
    decoded = 0
    for place, path in enumerate(paths):
        try:
            pixels[decoded] = decode(path, form)
            decoded += 1
        except Exception as error:  # decoders raise exceptions of many types
            failures[place] = str(error) or type(error).__name__
    return pixels[:decoded], failures
