"""What the runs ran on, and whether they had it to themselves."""

import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

ALONE = 0.1
"""Others may use up to this share of one core while a run is timed."""

PACKAGES = ("descent", "torch", "lightning", "torchmetrics", "timm", "torchvision", "numpy", "scipy", "optuna")


class OthersLoad:
    """How many cores others kept busy, from the kernel's counters, between two moments.

    Example:
        >>> load = OthersLoad()
        >>> cores = load.cores()
        >>> cores is None or cores >= 0
        True
    """

    def __init__(self) -> None:
        self._busy, self._own, self._started = _busy_seconds(), _own_seconds(), time.monotonic()

    def cores(self) -> float | None:
        """Cores on average since the start; `None` where the system does not say."""
        busy, elapsed = _busy_seconds(), max(time.monotonic() - self._started, 1e-3)
        if busy is None or self._busy is None:
            return None
        return max(0.0, busy - self._busy - (_own_seconds() - self._own)) / elapsed


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy_seconds() -> float | None:
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, _steal = (int(value) for value in fields)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, accelerator, versions: what a reader needs to judge the seconds."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "accelerator": gpu or "none",
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
