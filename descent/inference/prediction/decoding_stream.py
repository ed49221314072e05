"""Decode image files in other processes while the network computes."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
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
    """Decode files in order, some batches ahead of the consumer: three, or enough for two tasks per worker.

    The processes send pixels through a pipe, not through shared memory, of which containers have little.

    Args:
        paths: The files.
        form: Size, mode and way of resizing.
        batch_size: Files per batch, ≥ 1; a corrupt file makes its batch smaller.
        workers: Number of processes, ≥ 1; by default one per usable core.

    Raises:
        ChildProcessError: A process was killed.
    """
    chunks = -(-batch_size // _CHUNK_SIZE)  # per batch
    size = -(-batch_size // chunks)
    starts = range(0, len(paths), batch_size)
    workers = min(workers or usable_cores(), chunks * len(starts))
    ahead = max(3, -(-2 * workers // chunks))
    waiting: deque[tuple[int, list[Future[Decoded]]]] = deque()
    with decoding_pool(workers) as pool:
        try:
            for start in starts:
                files = paths[start : start + batch_size]
                tasks = [pool.submit(_decode, files[i : i + size], form) for i in range(0, len(files), size)]
                waiting.append((start, tasks))
                if len(waiting) > ahead:
                    yield _batch(*waiting.popleft())
            while waiting:
                yield _batch(*waiting.popleft())
        except BrokenProcessPool as error:
            raise ChildProcessError("a process that decoded images was killed; is the memory full?") from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _batch(start: int, tasks: list[Future[Decoded]]) -> DecodedBatch:
    """Join the decoded parts of a batch whose first file has the index ``start``."""
    pixels: list[Tensor] = []
    rows: list[int] = []
    failures: dict[int, str] = {}
    for decoded, failed in (task.result() for task in tasks):
        end = start + len(decoded) + len(failed)
        failures |= {start + position: reason for position, reason in failed.items()}
        rows += [row for row in range(start, end) if row not in failures]
        pixels.append(torch.from_numpy(decoded))
        start = end
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
