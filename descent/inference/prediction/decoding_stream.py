"""Image files decoded by other processes while the network computes."""

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
"""The images that could be decoded, and what was wrong with others, by their place."""
Part = tuple[range, Pixels, dict[int, str]]

_CHUNK = 64  # images a task, at most


@dataclass
class DecodedBatch:
    """Some images in order.

    Args:
        pixels: uint8 `(B, H, W, C)`, those that could be decoded.
        rows: Which of the files they are, `B` of them.
        failures: What was wrong with others, by the number of the file.
    """

    pixels: Tensor
    rows: list[int]
    failures: dict[int, str] = field(default_factory=dict)


def decoded_batches(
    paths: list[str], form: ImageFormat, batch_size: int, workers: int | None = None
) -> Iterator[DecodedBatch]:
    """Decode files in order, some batches ahead of the one that is asked for.

    What the processes hand over is copied through a pipe, so that no shared memory is needed, of which a container has
    little; three batches lie ready at most.

    Args:
        paths: Files.
        form: What every image is turned into.
        batch_size: Files a batch, ≥ 1; a corrupt one leaves its batch smaller.
        workers: Processes, ≥ 1; by default one a core that this process may use.

    Raises:
        ChildProcessError: A process was killed.
    """
    parts = -(-batch_size // _CHUNK)
    size = -(-batch_size // parts)
    starts = range(0, len(paths), batch_size)
    ends = {start: min(start + batch_size, len(paths)) for start in starts}
    chunks = [range(i, min(i + size, ends[start])) for start in starts for i in range(start, ends[start], size)]
    whole = set(ends.values())
    workers = min(workers or usable_cores(), len(chunks))
    taken: list[Part] = []
    with decoding_pool(workers) as pool:
        try:
            for part in _in_order(pool, chunks, paths, form, max(3 * parts, 2 * workers)):
                taken.append(part)
                if part[0].stop in whole:
                    yield _batch(taken)
                    taken = []
        except BrokenProcessPool as error:
            raise ChildProcessError("a process that decoded images was killed; is the memory full?") from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _in_order(pool: Executor, chunks: list[range], paths: list[str], form: ImageFormat, ahead: int) -> Iterator[Part]:
    waiting: deque[tuple[range, Future[Decoded]]] = deque()
    for chunk in chunks:
        waiting.append((chunk, pool.submit(_decode, [paths[row] for row in chunk], form)))
        if len(waiting) >= ahead:
            rows, future = waiting.popleft()
            yield rows, *future.result()
    for rows, future in waiting:
        yield rows, *future.result()


def _batch(taken: list[Part]) -> DecodedBatch:
    pixels = [torch.from_numpy(values) for _, values, _ in taken]
    failures = {rows.start + place: said for rows, _, wrong in taken for place, said in wrong.items()}
    rows = [row for rows, _, _ in taken for row in rows if row not in failures]
    return DecodedBatch(pixels[0] if len(pixels) == 1 else torch.cat(pixels), rows, failures)


def _decode(paths: list[str], form: ImageFormat) -> Decoded:
    pixels: Pixels = np.empty((len(paths), *form.shape), dtype=np.uint8)
    failures: dict[int, str] = {}
    good = 0
    for place, path in enumerate(paths):
        try:
            pixels[good] = decode(path, form)
            good += 1
        except Exception as error:  # a decoder may raise anything
            failures[place] = str(error) or type(error).__name__
    return pixels[:good], failures
