"""The phantom GPU as seen from Python, in a process whose environment preloads it: counts, late copies, poisoned memory."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.phantom_gpu.build import LIBRARY, ROOT, build

WATCHER = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
SYNCS = ("stream_sync", "device_sync", "event_sync", "copy_sync")
COPIES = ("h2d_pageable", "h2d_pinned", "d2h_pageable", "d2h_pinned")
PAGEABLE = ("h2d_pageable", "d2h_pageable")


def environment(devices: int = 1, *, values: bool = False, launch_ns: int = 0) -> dict[str, str]:
    """Return what a process needs in its environment to find the phantom GPU; its own children find it too.

    Args:
        devices: how many devices there are.
        values: do all arithmetic of the device on the CPU; otherwise the memory keeps what it holds, mostly zeros.
        launch_ns: how long an asynchronous call of the device takes the host, in nanoseconds (2,500 is usual).
    """
    path = os.pathsep.join([str(Path(__file__).parent / "preload"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {
        "LD_PRELOAD": str(build()),
        "PHANTOM_DEVICES": str(devices),
        "PHANTOM_VALUES": str(int(values)),
        "PHANTOM_LAUNCH_NS": str(launch_ns),
        "TORCH_DISABLE_NATIVE_JIT": "1",  # torch's kernels in Triton, which compiles for a device
        "TORCH_CUDNN_V8_API_DISABLED": "1",  # its plans are made by cuDNN, which the stub is not
        "PYTHONPATH": path.rstrip(os.pathsep),
    }


def present() -> bool:
    """Return whether this process runs on the phantom GPU."""
    return "phantom_gpu" in os.environ.get("LD_PRELOAD", "")


@cache
def library() -> ctypes.CDLL:
    loaded = ctypes.CDLL(LIBRARY)
    loaded.phantom_name.restype = ctypes.c_char_p
    loaded.phantom_count.restype = ctypes.c_ulong
    loaded.phantom_watch.argtypes = [WATCHER, ctypes.c_ulong]
    loaded.phantom_launch_ns.argtypes = [ctypes.c_long]
    loaded.phantom_arrive.argtypes = [ctypes.c_uint64]
    return loaded


@cache
def kinds() -> tuple[str, ...]:
    return tuple(library().phantom_name(kind).decode() for kind in range(library().phantom_kinds()))


def counts() -> dict[str, int]:
    """Return how often the device was asked for each kind of thing since the process began."""
    return {name: library().phantom_count(kind) for kind, name in enumerate(kinds())}


@contextmanager
def watching(function: Callable[[str, str, int], Any], what: tuple[str, ...]) -> Iterator[None]:
    """Call `function(kind, name, bytes)` at each event of these kinds, in the thread that causes it."""
    known = kinds()
    watcher = WATCHER(lambda kind, name, size: function(known[kind], name.decode(), size))
    library().phantom_watch(watcher, sum(1 << known.index(name) for name in what))
    try:
        yield
    finally:
        library().phantom_watch(WATCHER(), 0)


def defer_copies(on: bool = True) -> None:
    """Let copies of pinned memory end only when the host waits for them (see `driver/copies.c`)."""
    library().phantom_defer(int(on))


POISON = {"PHANTOM_POISON": "1", "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
"""Fill memory with 0xff (NaN; -1) when it is allocated and when it is freed, one allocation a tensor."""


def forgive() -> None:
    """Forget that buffers were written to before their copies had ended: a test has caused it on purpose."""
    library().phantom_forgive()
