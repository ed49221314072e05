"""Decoding of many images into one file, on all cores, with a progress bar."""

import ctypes
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

from datamodules.folder.decoding import ImageFormat, Pixels, decode
from foundation.hardware import usable_cores

_PR_SET_PDEATHSIG = 1
_CHUNK = 128  # images per task: few enough for an even load, many enough to make the overhead small


@dataclass
class Decoded:
    """Result of decoding some images.

    Args:
        sums: Exact sum of the values of each channel.
        squares: Exact sum of their squares.
        failures: Error message by image number; the pixels of these images in the file are 0.
    """

    sums: list[int]
    squares: list[int]
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Decoded") -> None:
        """Add the result of more images."""
        self.sums = [a + b for a, b in zip(self.sums, other.sums, strict=True)]
        self.squares = [a + b for a, b in zip(self.squares, other.squares, strict=True)]
        self.failures.update(other.failures)


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
    channels = form.shape[2]
    total = Decoded([0] * channels, [0] * channels)
    starts = range(0, len(names), _CHUNK)
    with decoding_pool(min(usable_cores(), len(starts))) as executor:
        tasks = [executor.submit(_decode_some, folder, names[i : i + _CHUNK], i, form, target) for i in starts]
        try:
            for task in _with_progress(tasks, len(names), folder):
                total.add(task.result())
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
    failures = {}
    for i, name in enumerate(names):
        try:
            pixels[i] = decode(f"{folder}/{name}", form)  # a Path would add a tenth to the time of a small image
        except Exception as error:
            failures[first + i] = str(error) or type(error).__name__
    with target.open("r+b") as file:
        file.seek(first * pixels[0].nbytes)
        file.write(pixels.data)
    return Decoded(_channel_sums(pixels), _channel_sums(pixels.astype(np.uint16) ** 2), failures)


def _channel_sums(values: NDArray[np.integer[Any]]) -> list[int]:
    # summing over the images first is ten times as fast as over all axes but the last at once
    by_place = values.sum(0, dtype=np.uint32)  # 255² · 128 images fits
    return [int(total) for total in by_place.sum((0, 1), dtype=np.int64)]
