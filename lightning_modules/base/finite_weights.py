"""Find parameters that are NaN or infinite: a network with one of them gives no meaningful output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from foundation.errors import UserError


def not_finite(tensors: Iterable[tuple[str, Any]]) -> list[str]:
    """Return the names of the floating-point tensors that hold a NaN or an infinity; waits for the device once.

    Of a sharded tensor only this process's part is examined.

    Example:
        >>> not_finite([("a", torch.ones(2)), ("b", torch.tensor([1.0, float("nan")]))])
        ['b']
    """
    local = [(name, getattr(value, "to_local", lambda value=value: value)()) for name, value in tensors]
    found = [(name, value) for name, value in local if isinstance(value, Tensor) and value.is_floating_point()]
    if not found:
        return []
    device = found[0][1].device
    finite = torch.stack([value.detach().isfinite().all().to(device) for _, value in found]).tolist()
    return [name for (name, _), fine in zip(found, finite, strict=True) if not fine]


def check_finite_weights(state: Mapping[str, Any], parameters: Iterable[str]) -> None:
    """Check that the parameters in a checkpoint are finite; a buffer may be infinite on purpose (a mask).

    Args:
        state: The checkpoint's `state_dict`.
        parameters: Names of the module's parameters.

    Raises:
        UserError: One is NaN or infinite; the message counts them and names the first.
    """
    names = [name for name in parameters if name in state]
    wrong = not_finite((name, state[name]) for name in names)
    if wrong:
        raise UserError(
            f"The checkpoint's weights are NaN or infinite ({len(wrong)} of {len(names)} parameters, the first is"
            f" {wrong[0]}): the run had diverged when it was saved. Use an earlier checkpoint (previous.ckpt or"
            " best.ckpt), or train again with a smaller learning rate or with --trainer.gradient_clip_val 1."
        )
