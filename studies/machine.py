"""What the runs ran on, and whether they had it to themselves."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

PACKAGES = ("descent", "torch", "lightning", "torchmetrics", "timm", "torchvision", "numpy", "scipy", "optuna")


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
