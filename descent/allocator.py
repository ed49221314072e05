"""A memory allocator that fits CPU training: set before torch is imported."""

import ctypes
import os
import sys

SWITCH = "DESCENT_ALLOCATOR"
CHOICES = ("tuned", "system")

KEPT = 2**31 - 1  # bytes at the heap's top that are not given back: the largest that mallopt takes

# mallopt(3) of glibc
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4

FOR_CHILDREN = {
    "THP_MEM_ALLOC_ENABLE": "1",  # read by torch when it is imported
    "MALLOC_MMAP_MAX_": "0",  # read by glibc when a process starts
    "MALLOC_TRIM_THRESHOLD_": str(KEPT),
}


def tune_allocator() -> bool:
    """Keep freed memory, and take it in huge pages; say whether that was done.

    glibc gives every block over 32 MB back to the system when it is freed, and takes it anew, page by page, at the next
    step: half the time of a step with large activations goes to page faults. Here `mallopt` keeps what was freed, and
    `THP_MEM_ALLOC_ENABLE` lets torch ask for transparent huge pages. The arithmetic is the same; the process holds on
    to the largest amount of memory that it has needed.

    Processes that this one starts, by fork, by spawn or as a command, are tuned from their beginning: what glibc and
    torch read is in their environment. A notebook calls it before it imports torch:

        from descent.allocator import tune_allocator; tune_allocator()

    `DESCENT_ALLOCATOR=system` switches it off. Where there is no glibc nothing is done.

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
