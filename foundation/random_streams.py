"""Seed the random streams of python, numpy and torch; save and restore their states."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def seed_all(seed: int, trainer: Trainer) -> None:
    """Seed python, numpy, torch and the device's generator.

    `torch.manual_seed` does the same in 200 µs a call, because it visits every backend.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  the generator that others draw from is the one to seed
    torch.default_generator.manual_seed(seed % 2**63)
    device = trainer.strategy.root_device
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed % 2**63)
    elif device.type == "mps":
        torch.mps.manual_seed(seed % 2**63)


def random_state() -> dict[str, Any]:
    """Return the state of the generators of python, numpy, torch and every device."""
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002  the stream that others draw from
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Restore a state that `random_state` returned; that of a device that is missing here is left out."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available():
        for device, own in zip(range(torch.cuda.device_count()), state.get("cuda", ()), strict=False):
            torch.cuda.set_rng_state(own, device)
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def seed_streams(seed: int) -> None:
    """Seed python, numpy and torch; unlike Lightning's `seed_everything`, leave the environment variables alone."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Restore every stream at the end of the block, after an exception too (unlike Lightning's `isolate_rng`)."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
