"""A step whose gradients were dropped: the optimizer is called all the same, and nobody may count it."""

from typing import Any

from torch import Tensor
from torch.optim import Optimizer


def drop_step(optimizer: Optimizer, norm: Tensor) -> None:
    """Take the gradients away, over which an optimizer passes, and say so until `keep_steps`.

    Args:
        optimizer: About to be stepped.
        norm: Of the gradients, `()`.
    """
    plain = inner(optimizer)
    plain.dropped_norm = norm.detach()
    for group in plain.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def keep_steps(optimizer: Optimizer) -> None:
    """The steps from now on are real ones again."""
    vars(inner(optimizer)).pop("dropped_norm", None)


def dropped_norm(optimizer: Optimizer) -> Tensor | None:
    """Norm of the gradients that this step had, if they were dropped.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> dropped_norm(optimizer) is None
        True
        >>> drop_step(optimizer, torch.tensor(float("inf")))
        >>> dropped_norm(optimizer)
        tensor(inf)
    """
    norm: Tensor | None = getattr(inner(optimizer), "dropped_norm", None)
    return norm


def inner(optimizer: Any) -> Any:
    """The optimizer itself, where Lightning wraps it in manual optimization."""
    return getattr(optimizer, "optimizer", optimizer)
