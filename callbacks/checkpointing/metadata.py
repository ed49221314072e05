"""What a checkpoint says of itself: metrics, config, versions, commit, machine."""

import platform
import socket
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer

KEY = "descent"
PACKAGES = ("descent", "torch", "lightning", "torchvision", "torchmetrics", "numpy")


def facts_of_run(folder: Path) -> dict[str, Any]:
    """What does not change during a run, asked for once.

    Args:
        folder: The run's; its ``config.yaml`` is taken as it is.
    """
    config = folder / "config.yaml"
    return {
        "config": config.read_text(encoding="utf-8") if config.is_file() else None,
        "versions": {"python": platform.python_version()} | versions(),
        "git": git_state(Path.cwd()),
        "host": socket.gethostname(),
        "platform": platform.platform(),
    }


def facts_of_moment(trainer: Trainer) -> dict[str, Any]:
    """What is so at the time of a save; plain values only, so that reading it runs no code."""
    device = trainer.strategy.root_device
    names = getattr(getattr(trainer, "datamodule", None), "class_names", None)
    return {
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "batches": trainer.num_training_batches,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": trainer.world_size,
        "precision": str(trainer.precision),
        "class_names": None if names is None else [str(name) for name in names],
    }


def versions() -> dict[str, str]:
    """Versions of the packages that matter, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the repository that ``folder`` is in and whether tracked files were changed; None outside of one."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
