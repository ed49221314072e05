"""Decode many images into one file, on all cores, with a progress bar."""

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
_CHUNK = 128  # images a task: small enough for an even load, large enough that handing it out costs nothing


@dataclass
class Decoded:
    """What came of a number of images.

    Args:
        sums: Of the values of each channel, exact.
        squares: Of their squares, exact.
        failures: What was wrong, by the number of the image; its pixels in the file are 0.
    """

    sums: list[int]
    squares: list[int]
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Decoded") -> None:
        """Take in what came of some more."""
        self.sums = [mine + its for mine, its in zip(self.sums, other.sums, strict=True)]
        self.squares = [mine + its for mine, its in zip(self.squares, other.squares, strict=True)]
        self.failures.update(other.failures)


def decode_all(folder: Path, names: list[str], form: ImageFormat, target: Path) -> Decoded:
    """Decode images into ``target``, one after the other without a header.

    Processes, not threads: of a small image's time most goes into Python's part of Pillow, which threads do in turn.

    Args:
        folder: Of the split.
        names: Paths below it.
        form: What every image is turned into.
        target: File to write; exists and is empty.

    Raises:
        OSError: If the file cannot be written.
    """
    channels = form.shape[2]
    whole = Decoded([0] * channels, [0] * channels)
    starts = range(0, len(names), _CHUNK)
    with decoding_pool(min(usable_cores(), len(starts))) as executor:
        tasks = [executor.submit(_decode_some, folder, names[i : i + _CHUNK], i, form, target) for i in starts]
        try:
            for task in _shown(tasks, len(names), folder):
                whole.add(task.result())
        except BrokenProcessPool as error:
            raise ChildProcessError(f"a process that decoded {folder} was killed; is the memory full?") from error
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise
    return whole


def decoding_pool(workers: int) -> Executor:
    """Processes that decode; where they cannot be forked, or one is enough, threads.

    Forked, so that nothing is imported again. The children touch neither torch nor CUDA, and die with their parent.

    Args:
        workers: How many, ≥ 1.
    """
    if workers > 1 and "fork" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("fork")
        return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    return ThreadPoolExecutor(workers)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C goes to the whole group; the parent alone answers it
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no orphans of a killed parent


def _shown(tasks: list["Future[Decoded]"], images: int, folder: Path) -> Iterator["Future[Decoded]"]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    seen = console.is_terminal or console.is_jupyter
    with Progress(*columns, console=console, transient=True, disable=not seen) as progress:
        bar = progress.add_task(f"Decoding {folder}", total=images)
        for task in as_completed(tasks):
            yield task
            progress.advance(bar, min(_CHUNK, images))


def _decode_some(folder: Path, names: list[str], first: int, form: ImageFormat, target: Path) -> Decoded:
    pixels: Pixels = np.zeros((len(names), *form.shape), dtype=np.uint8)
    failures = {}
    for i, name in enumerate(names):
        try:
            pixels[i] = decode(f"{folder}/{name}", form)  # a Path would take a tenth of the time of a small image
        except Exception as error:
            failures[first + i] = str(error) or type(error).__name__
    with target.open("r+b") as file:
        file.seek(first * pixels[0].nbytes)
        file.write(pixels.data)
    return Decoded(_channel_sums(pixels), _channel_sums(pixels.astype(np.uint16) ** 2), failures)


def _channel_sums(values: NDArray[np.integer[Any]]) -> list[int]:
    # over the images first, along the memory: ten times as fast as over all but the last axis at once
    by_place = values.sum(0, dtype=np.uint32)  # 255² · 128 images fits
    return [int(total) for total in by_place.sum((0, 1), dtype=np.int64)]
