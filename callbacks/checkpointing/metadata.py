"""Metadata that a checkpoint carries: config, versions, git commit, machine, time."""

import platform
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from foundation.hardware import version_of

if TYPE_CHECKING:  # `descent inspect` reads a checkpoint without Lightning
    from lightning.pytorch import Trainer

KEY = "descent"
PACKAGES = ("descent", "torch", "lightning", "torchvision", "torchmetrics", "numpy")


def config_of_run(trainer: "Trainer", folder: Path) -> str | None:
    """Return the text of the config that this run trains with, or None if there is none.

    The ``config.yaml`` of a resumed run is replaced once a step was taken, so until then it may be another config: the
    callback that writes it has the text in its attribute ``config_text``.

    Args:
        trainer: The running trainer.
        folder: Of the run, whose ``config.yaml`` is read if no callback knows the text.
    """
    texts = (getattr(callback, "config_text", None) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    known = next((text for text in texts if isinstance(text, str)), None)
    config = folder / "config.yaml"
    return known if known is not None or not config.is_file() else config.read_text(encoding="utf-8")


def run_metadata(trainer: "Trainer", folder: Path) -> dict[str, Any]:
    """Collect what stays the same during a run.

    Args:
        trainer: The running trainer.
        folder: Of the run.
    """
    return {
        "config": config_of_run(trainer, folder),
        "versions": {"python": platform.python_version()} | versions(),
        "git": git_state(Path.cwd()),
        "host": socket.gethostname(),
        "platform": platform.platform(),
    }


def save_metadata(trainer: "Trainer") -> dict[str, Any]:
    """Collect what belongs to this save; plain values only, so that loading it runs no code."""
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
    """Return the versions of the main packages that are installed."""
    found = {name: version_of(name) for name in PACKAGES}
    return {name: version for name, version in found.items() if version != "not installed"}


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the repository around ``folder`` and whether tracked files changed; None outside of one."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
