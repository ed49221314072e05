"""Check the hyperparameters of an optimizer before it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from foundation.factories import arguments_of, name_of

NOT_NEGATIVE = ("lr", "weight_decay", "eps", "warmup_steps", "momentum_decay", "lambd")
BELOW_ONE = ("momentum", "alpha", "rho", "betas")


def check_hyperparameters(optimizer: Callable[..., Any]) -> None:
    """Check learning rate, weight decay and betas, which not every optimizer checks itself.

    Args:
        optimizer: An optimizer class without its parameters, as LightningCLI gives it.

    Raises:
        ValueError: A number is outside its range, or `optimizer` is already an instance, of other parameters.

    Example:
        >>> from functools import partial
        >>> import torch
        >>> check_hyperparameters(partial(torch.optim.AdamW, lr=-1.0))
        Traceback (most recent call last):
        ...
        ValueError: AdamW: lr must be ≥ 0, got -1.0.
    """
    if not callable(optimizer):
        raise ValueError(
            f"optimizer must be an optimizer class without its parameters, such as functools.partial(torch.optim.AdamW,"
            f" lr=1e-3), got {type(optimizer).__name__}."
        )
    check_ranges(name_of(optimizer), arguments_of(optimizer))


def check_ranges(who: str, numbers: Mapping[str, Any]) -> None:
    """Raise ValueError if a known argument is outside its range; skip anything that is not a plain number."""
    for name in NOT_NEGATIVE:
        value = numbers.get(name)
        if isinstance(value, int | float) and not value >= 0:
            raise ValueError(f"{who}: {name} must be ≥ 0, got {value}.")
    for name in BELOW_ONE:
        value = numbers.get(name)
        for share in value if isinstance(value, tuple | list) else (value,):
            if isinstance(share, int | float) and not 0 <= share < 1:
                raise ValueError(f"{who}: {name} must be in [0, 1), got {value}.")
