"""A memory allocator that fits CPU training: set before torch is imported."""

import ctypes
import os
import sys

SWITCH = "DESCENT_ALLOCATOR"

# mallopt(3) of glibc
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def tune_allocator() -> bool:
    """Keep freed memory, and take it in huge pages; say whether that was done.

    glibc gives every block over 32 MB back to the system when it is freed, and takes it anew, page by page, at the next
    step: half the time of a step with large activations goes to page faults. Here `mallopt` keeps what was freed, and
    `THP_MEM_ALLOC_ENABLE` lets torch ask for transparent huge pages. The arithmetic is the same; the process holds on
    to the largest amount of memory that it has needed.

    `DESCENT_ALLOCATOR=system` switches it off. Where there is no glibc nothing is done. It only helps if torch is not
    imported yet; child processes inherit the variable, and tune themselves when they import `cli`.
    """
    if os.environ.get(SWITCH, "tuned") == "system" or not sys.platform.startswith("linux"):
        return False
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # musl
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
