"""Tensors in nested values, whether they are finite, and copies of the containers of a batch."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor


@torch.no_grad()  # checkpointed activations count what is saved for the backward pass
def non_finite(tensor: Tensor) -> str | None:
    """Return `NaN` or `inf` if the tensor has one."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return None
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    if bool(torch.isfinite(tensor).all()):
        return None
    return "NaN" if bool(torch.isnan(tensor).any()) else "inf"


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield every tensor in nested dicts, lists, tuples and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from tensors_in(getattr(value, each.name))


def containers_copied(batch: Any) -> Any:
    """Copy the containers of a batch but not its tensors: a step may take entries out of them.

    Example:
        >>> batch = {"x": torch.zeros(2), "y": [torch.ones(1)]}
        >>> kept = containers_copied(batch)
        >>> _ = batch.pop("x")
        >>> sorted(kept)
        ['x', 'y']
    """
    if isinstance(batch, Tensor) or (type(batch) in (list, tuple) and all(isinstance(item, Tensor) for item in batch)):
        return list(batch) if type(batch) is list else batch
    return apply_to_collection(batch, Tensor, _same, allow_frozen=True)


def _same(tensor: Tensor) -> Tensor:
    return tensor
