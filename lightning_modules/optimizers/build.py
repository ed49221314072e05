"""Build the optimizer of a run from the class and arguments in a config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from torch import nn
from torch.optim import Optimizer

from foundation.compat.torch import leave_unscaling_to_the_scaler
from foundation.errors import UserError
from foundation.factories import name_of
from lightning_modules.optimizers.freezing import frozen_in
from lightning_modules.optimizers.group_table import group_table
from lightning_modules.optimizers.hyperparameters import check_hyperparameters
from lightning_modules.optimizers.implementation import choose_implementation
from lightning_modules.optimizers.parameter_groups import ParameterGroups, network_of


def build_optimizer(
    optimizer: Callable[..., Any], module: nn.Module, groups: ParameterGroups | None = None
) -> Optimizer:
    """Build the optimizer of a module's trainable parameters, and print its parameter groups.

    Args:
        optimizer: An optimizer class without its parameters, e.g. `functools.partial(torch.optim.AdamW, lr=1e-3)`, as
            LightningCLI gives it.
        module: The module whose trainable parameters are optimized.
        groups: How they are grouped; `None` for one group.

    Raises:
        UserError: There is no trainable parameter, or the optimizer does not accept its arguments.

    Example:
        >>> import functools, torch
        >>> adamw = functools.partial(torch.optim.AdamW, lr=1e-3, weight_decay=0.05)
        >>> built = build_optimizer(adamw, nn.Linear(3, 2), ParameterGroups())
        >>> [(group["name"], group["weight_decay"]) for group in built.param_groups]
        [('decay', 0.05), ('no decay', 0.0)]
    """
    check_hyperparameters(optimizer)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not parameters:
        raise UserError(
            f"{type(network_of(module)).__name__} has no trainable parameters: unfreeze some (requires_grad) or choose"
            " another network."
        )
    split = [{"params": parameters}] if groups is None else groups.split(module)
    try:
        built = optimizer(split, **choose_implementation(optimizer, parameters))
    except ValueError as error:
        raise UserError(f"{name_of(optimizer)}: {error}") from error
    for group in built.param_groups:
        group["lr"] = group["lr"] * group.pop("lr_factor", 1.0)
    leave_unscaling_to_the_scaler(built)
    rank_zero_info(group_table(built, {p for name, p in module.named_parameters() if name in frozen_in(module)}))
    return built
