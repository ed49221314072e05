"""How threads wait for each other on a busy machine; it must be set before torch is imported."""

import os
import sys
import time

from foundation.machine_load import MachineLoad

VARIABLE = "OMP_WAIT_POLICY"
BUSY = 0.5
"""Programs that were running or waiting for a core in the last minute, on average, from which a machine may be busy."""
BUSY_NOW = 0.2
"""Cores that other programs use at this moment, from which it is busy."""
WINDOW_S = 0.1  # the kernel counts in hundredths of a second


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
    if load < BUSY or ((now := cores_in_use()) is not None and now < BUSY_NOW):
        return None
    os.environ[VARIABLE] = "passive"
    cores = os.cpu_count()
    return (
        f"Other programs use this machine (load {load:.1f}, {cores} cores): threads sleep while they wait for each "
        "other. The results are the same."
    )


def cores_in_use() -> float | None:
    """Return how many cores other programs use while this process sleeps; `None` where it isn't known."""
    load = MachineLoad()
    time.sleep(WINDOW_S)
    return load.cores()
