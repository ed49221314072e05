"""Choose between torch's implementations of an optimizer: fused, foreach or one tensor at a time."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from foundation.factories import arguments_of, class_of

FUSED_ON = ("cpu", "cuda")


def choose_implementation(optimizer: Callable[..., Any], parameters: Iterable[torch.Tensor]) -> dict[str, bool]:
    """Return `fused=True` if the optimizer, its arguments and the parameters allow it, else nothing.

    torch itself never chooses fused, which is the fastest on GPUs and CPUs. A choice in the config is kept.

    Args:
        optimizer: An optimizer class without its parameters.
        parameters: The parameters to optimize.
    """
    given = arguments_of(optimizer)
    if "fused" not in inspect.signature(class_of(optimizer)).parameters:
        return {}
    if any(given.get(choice) for choice in ("foreach", "fused", "differentiable")) or given.get("fused") is False:
        return {}
    # FSDP2's shards are a type of their own, for which torch has no fused SGD.
    plain = (torch.Tensor, torch.nn.Parameter)
    fits = all(torch.is_floating_point(p) and p.device.type in FUSED_ON and type(p) in plain for p in parameters)
    return {"fused": True} if fits and given.get("foreach") is None else {}


def declines_fused(optimizer: Callable[..., Any]) -> bool:
    """Return whether an optimizer has a fused implementation that its arguments switch off.

    Example:
        >>> from functools import partial
        >>> declines_fused(partial(torch.optim.AdamW, foreach=False)), declines_fused(torch.optim.AdamW)
        (True, False)
    """
    given = arguments_of(optimizer)
    if "fused" not in inspect.signature(class_of(optimizer)).parameters or given.get("differentiable"):
        return False
    return not given.get("fused") and (given.get("fused") is False or given.get("foreach") is not None)


def implementation_of(optimizer: Optimizer) -> str:
    """Return in words which implementation an optimizer uses."""
    group = optimizer.param_groups[0]
    if group.get("fused"):
        return "fused"
    on_gpu = all(p.device.type == "cuda" for group in optimizer.param_groups for p in group["params"])
    if "foreach" in group and (group["foreach"] or (group["foreach"] is None and on_gpu)):
        return "foreach"
    return "one tensor at a time" if "foreach" in group else "its own loop"
