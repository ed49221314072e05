"""Check the hyperparameters of an optimizer before it is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foundation.arguments.ranges import check_ranges
from foundation.arguments.tables import OPTIMIZER
from foundation.errors import UserError
from foundation.factories import arguments_of, name_of


def check_hyperparameters(optimizer: Callable[..., Any]) -> None:
    """Check the numbers that an optimizer is given, which not every optimizer checks itself.

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
    if arguments_of(optimizer).get("differentiable"):
        raise ValueError(f"{name_of(optimizer)}: differentiable must be false: training changes weights in place.")
    try:
        check_ranges(f"{name_of(optimizer)}: ", arguments_of(optimizer), OPTIMIZER)
    except UserError as error:
        raise ValueError(str(error)) from None
