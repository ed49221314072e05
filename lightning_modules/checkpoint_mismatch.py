"""Say in words why a checkpoint does not fit a network."""

from collections.abc import Mapping
from typing import Any

LISTED = 5


def describe_mismatch(checkpoint_state: Mapping[str, Any], module_state: Mapping[str, Any]) -> str:
    """Name the layers in which a checkpoint and a network differ; ``""`` where they fit.

    Args:
        checkpoint_state: The checkpoint's ``state_dict``.
        module_state: The module's own ``state_dict()``.

    Example:
        >>> import torch
        >>> describe_mismatch(torch.nn.Linear(2, 3).state_dict(), torch.nn.Linear(2, 4, bias=False).state_dict())
        'of another shape: weight (3, 2) in the checkpoint, (4, 2) in the network; only in the checkpoint: bias'
    """
    common = [name for name in module_state if name in checkpoint_state]
    shapes = [(name, shape_of(checkpoint_state[name]), shape_of(module_state[name])) for name in common]
    parts = {
        "of another shape": [f"{n} {a} in the checkpoint, {b} in the network" for n, a, b in shapes if a != b],
        "only in the network": [name for name in module_state if name not in checkpoint_state],
        "only in the checkpoint": [name for name in checkpoint_state if name not in module_state],
    }
    return "; ".join(f"{title}: {_capped(names)}" for title, names in parts.items() if names)


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of a tensor; ``()`` for what has none (extra state)."""
    return tuple(getattr(value, "shape", ()))


def _capped(names: list[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")
