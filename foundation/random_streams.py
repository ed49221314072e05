"""Put every random stream back, whatever happens in between."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer


def seed_all(seed: int, trainer: Trainer) -> None:
    """Seed python, numpy, torch and the device's generator.

    ``torch.manual_seed`` would do, at 200 µs a call: it visits every backend.
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
    """The state of python's, numpy's, torch's and every device's generator."""
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
    """Go back to what `random_state` gave."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
    if "mps" in state:
        torch.mps.set_rng_state(state["mps"])


def seed_streams(seed: int) -> None:
    """Seed python, numpy and torch, and leave the environment alone, which Lightning's `seed_everything` writes to."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Every stream is afterwards as before, also after an exception (which Lightning's `isolate_rng` misses)."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
