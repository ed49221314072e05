"""How threads wait for each other on a busy machine; it must be set before torch is imported."""

import os
import sys
import time
from pathlib import Path

VARIABLE = "OMP_WAIT_POLICY"
BUSY = 0.5
"""Programs that were running or waiting for a core in the last minute, on average, from which a machine may be busy."""
BUSY_NOW = 0.2  # cores in use while this process sleeps, from which it is
WINDOW_S = 0.1  # /proc/stat counts in hundredths of a second


def wait_politely() -> str | None:
    """Let torch's threads sleep while they wait for each other, if other programs use the machine.

    By default a thread that has finished its part of an operation keeps its core and spins until the others have
    finished theirs. If another program has the core that they need, both wait: a small network then trains 10 to 30
    times as slowly. Threads that sleep give the core away. The results are identical, unlike with fewer threads, which
    sum in another order.

    The load of the last minute contains programs that have ended, such as the user's last run. On Linux it is
    therefore measured whether the cores are used now.

    `OMP_WAIT_POLICY=active` turns it off. With one thread (`OMP_NUM_THREADS=1`) nothing is done.

    Returns:
        A line for the terminal; `None` if nothing was done.
    """
    if "torch" in sys.modules or VARIABLE in os.environ or os.environ.get("OMP_NUM_THREADS") == "1":
        return None
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):  # Windows
        return None
    if load < BUSY or cores_in_use() < BUSY_NOW:
        return None
    os.environ[VARIABLE] = "passive"
    cores = os.cpu_count()
    return (
        f"Other programs use this machine (load {load:.1f}, {cores} cores): threads sleep while they wait for each "
        "other. The results are the same."
    )


def cores_in_use(window_s: float = WINDOW_S) -> float:
    """Return how many cores other programs use on average while this process sleeps; infinity where it isn't known."""
    try:
        start, begun = _busy_s(), time.monotonic()
        time.sleep(window_s)
        # Some sandboxes show a file of zeros.
        return (_busy_s() - start) / (time.monotonic() - begun) if start else float("inf")
    except (OSError, ValueError, IndexError):  # no Linux
        return float("inf")


def _busy_s() -> float:
    """Return the seconds in which the cores have worked since the machine's start."""
    user, nice, system, _idle, _waiting, interrupt, soft, stolen = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + interrupt + soft + stolen) / os.sysconf("SC_CLK_TCK")
