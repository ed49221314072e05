"""Parameters that are trained only later in a run: no gradient, no optimizer state, and a place in its groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn


def freeze(module: nn.Module, names: Iterable[str]) -> None:
    """Freeze parameters of a LightningModule until `unfreeze`.

    Example:
        >>> module = nn.Linear(2, 3)
        >>> freeze(module, ["weight"])
        >>> [parameter.requires_grad for parameter in module.parameters()]
        [False, True]
    """
    kept = frozenset(names)
    module.frozen = kept  # type: ignore[assignment]
    for name, parameter in module.named_parameters():
        if name in kept:
            parameter.requires_grad_(False)
            parameter.grad = None


def unfreeze(module: nn.Module) -> None:
    """Train all parameters that `freeze` has frozen."""
    for name, parameter in module.named_parameters():
        if name in frozen_in(module):
            parameter.requires_grad_(True)
    module.frozen = frozenset()  # type: ignore[assignment]


def frozen_in(module: nn.Module) -> frozenset[str]:
    """Return the names of the parameters that `freeze` has frozen."""
    return getattr(module, "frozen", frozenset())


@contextmanager
def counted_as_trainable(module: nn.Module) -> Iterator[None]:
    """Let frozen parameters count as trainable, so that an optimizer gets them in its groups from the beginning.

    Its groups and the schedule's rates are then the same before and after they are trained, and in a resumed run. An
    optimizer of torch has no state of a parameter that never had a gradient.
    """
    frozen = [parameter for name, parameter in module.named_parameters() if name in frozen_in(module)]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
