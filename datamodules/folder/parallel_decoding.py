"""Decoding of many images into one file, on all cores, with a progress bar."""

import ctypes
import io
import multiprocessing
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datamodules.folder.contents.image_index import content_key
from datamodules.folder.decoding import ImageFormat, Pixels, decode
from foundation.hardware import usable_cores

_PR_SET_PDEATHSIG = 1
_CHUNK = 128  # images per task: few enough for an even load, many enough to make the overhead small


@dataclass
class Decoded:
    """Result of decoding some images.

    Args:
        index: int64 ``(N, 1 + 2 C)``: of each image the hash of its file's content, and for each channel the exact sum
            of the values and of their squares.
        failures: Error message by image number; the pixels of these images in the file are 0.
    """

    index: NDArray[np.int64]
    failures: dict[int, str] = field(default_factory=dict)


def decode_all(folder: Path, names: list[str], form: ImageFormat, target: Path) -> Decoded:
    """Decode images into ``target``, one after the other, without a header.

    It uses processes, not threads: most of a small image's time is spent in Pillow's Python code, under the GIL.

    Args:
        folder: Folder of the split.
        names: Paths relative to it.
        form: Format of the decoded images.
        target: File to write to; it exists and is empty.

    Raises:
        OSError: If the file cannot be written.
    """
    total = Decoded(np.zeros((len(names), 1 + 2 * form.shape[2]), np.int64))
    starts = range(0, len(names), _CHUNK)
    with decoding_pool(min(usable_cores(), len(starts))) as executor:
        tasks = {executor.submit(_decode_some, folder, names[i : i + _CHUNK], i, form, target): i for i in starts}
        try:
            for task in _with_progress(list(tasks), len(names), folder):
                part, first = task.result(), tasks[task]
                total.index[first : first + len(part.index)] = part.index
                total.failures.update(part.failures)
        except BrokenProcessPool as error:
            raise ChildProcessError(f"a process that was decoding {folder} was killed; is the memory full?") from error
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise
    return total


def decoding_pool(workers: int) -> Executor:
    """Return a pool of decoding processes, or of threads if processes cannot be forked or one worker is enough.

    Forking avoids importing everything again. The children use neither torch nor CUDA, and end with their parent.

    Args:
        workers: Number of workers, ≥ 1.
    """
    if workers > 1 and "fork" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("fork")
        return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    return ThreadPoolExecutor(workers)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole process group; only the parent handles it
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # ends with a parent that is killed


def _with_progress(tasks: list["Future[Decoded]"], images: int, folder: Path) -> Iterator["Future[Decoded]"]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    visible = console.is_terminal or console.is_jupyter
    with Progress(*columns, console=console, transient=True, disable=not visible) as progress:
        bar = progress.add_task(f"Decoding {folder}", total=images)
        for task in as_completed(tasks):
            yield task
            progress.advance(bar, min(_CHUNK, images))


def _decode_some(folder: Path, names: list[str], first: int, form: ImageFormat, target: Path) -> Decoded:
    pixels: Pixels = np.zeros((len(names), *form.shape), dtype=np.uint8)
    keys = np.zeros((len(names), 1), np.int64)
    failures = {}
    for i, name in enumerate(names):
        try:
            with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123 - a Path would add a tenth to a small image
                content = file.read()
            pixels[i], keys[i] = decode(io.BytesIO(content), form), content_key(content)
        except Exception as error:
            failures[first + i] = str(error) or type(error).__name__
    with target.open("r+b") as file:
        file.seek(first * pixels[0].nbytes)
        file.write(pixels.data)
    sums = _channel_sums(pixels), _channel_sums(pixels.astype(np.uint16) ** 2)
    return Decoded(np.concatenate([keys, *sums], 1), failures)


def _channel_sums(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    # row by row first: numpy sums the last axis but one of (N, H, W, C) slowly
    by_column = values.sum(1, dtype=np.uint64)
    return by_column.sum(1).astype(np.int64)
