"""Settings of the memory allocator that make training on a CPU faster; they must be set before torch is imported."""

import ctypes
import os
import sys

SWITCH = "DESCENT_ALLOCATOR"
CHOICES = ("tuned", "system")

KEPT = 2**31 - 1  # bytes of free memory that the heap keeps: the largest value that mallopt takes

# mallopt(3) of glibc
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4

FOR_CHILDREN = {
    "THP_MEM_ALLOC_ENABLE": "1",  # read by torch when it is imported
    "MALLOC_MMAP_MAX_": "0",  # read by glibc when a process starts
    "MALLOC_TRIM_THRESHOLD_": str(KEPT),
}


def tune_allocator() -> bool:
    """Keep freed memory for reuse, and let torch use huge pages; return whether that was done.

    By default glibc returns every freed block over 32 MB to the system. The next step gets it back page by page: half
    the time of a step with large activations goes to page faults. Here `mallopt` keeps freed memory, and
    `THP_MEM_ALLOC_ENABLE` lets torch ask for transparent huge pages. The results are identical; the process keeps as
    much memory as it ever needed.

    Child processes (fork, spawn or a command) are tuned too, by the environment variables that glibc and torch read.
    In a notebook, call this before importing torch:

        from descent import tune_allocator; tune_allocator()

    `DESCENT_ALLOCATOR=system` turns it off. Without glibc nothing is done.

    Raises:
        ValueError: `DESCENT_ALLOCATOR` is neither `tuned` nor `system`.
    """
    choice = os.environ.get(SWITCH, CHOICES[0])
    if choice not in CHOICES:
        raise ValueError(f"{SWITCH} must be {' or '.join(CHOICES)}, got {choice!r}.")
    if choice == "system" or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # musl
        return False
    for name, value in FOR_CHILDREN.items():
        os.environ.setdefault(name, value)
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, KEPT))
