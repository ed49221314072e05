"""Name the weights in which a file and a network differ, and rename those of a compiled network."""

from collections.abc import Mapping
from typing import Any

MOST_NAMES = 5  # in a message
COMPILED = "_orig_mod."  # torch.compile puts it into the names of the module that it wraps


def describe_mismatch(checkpoint_state: Mapping[str, Any], module_state: Mapping[str, Any]) -> str:
    """Name the layers in which a checkpoint and a network differ; return ``""`` if they match.

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
    return "; ".join(f"{title}: {capped(names)}" for title, names in parts.items() if names)


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of a tensor, or ``()`` for anything else (extra state)."""
    return tuple(getattr(value, "shape", ()))


def named_alike(state: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a state by the names of `own`, whichever of the two is of a network that `torch.compile` wraps.

    Args:
        state: A ``state_dict``.
        own: The ``state_dict`` of the module that it shall be loaded into.

    Example:
        >>> named_alike({"network._orig_mod.0.bias": 1}, {"network.0.bias": 2})
        {'network.0.bias': 1}
    """
    if not any(COMPILED in name for name in (*state, *own)):
        return state
    names = {name.replace(COMPILED, ""): name for name in own}
    return {names.get(name.replace(COMPILED, ""), name): value for name, value in state.items()}


def capped(names: list[str]) -> str:
    """Join names; of many, the first and how many more there are."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
