"""The learning rates of parameter groups, and the table of groups that a run prints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from lightning_modules.optimizers.implementation import implementation_of


def rates_of(groups: Sequence[dict[str, Any]], prefix: str = "lr") -> dict[str, float]:
    """Return the rate of each parameter group as ``prefix/<name or index>``, or as ``prefix`` if there is only one.

    Example:
        >>> rates_of([{"lr": 0.1}])
        {'lr': 0.1}
        >>> rates_of([{"lr": 0.1, "name": "decay"}, {"lr": 0.2}])
        {'lr/decay': 0.1, 'lr/1': 0.2}
    """
    if len(groups) == 1:
        return {prefix: float(groups[0]["lr"])}
    return {f"{prefix}/{group.get('name', number)}": float(group["lr"]) for number, group in enumerate(groups)}


MOST_ROWS = 8
"""Groups of a table that are all shown; of more, only the first and the last ones."""
END_ROWS = 3


def group_table(optimizer: Optimizer, frozen: Collection[Tensor] = ()) -> str:
    """Return a line for the optimizer, and a table if it has several groups.

    Args:
        optimizer: The optimizer.
        frozen: Parameters in it that are not trained yet.

    Example:
        >>> import torch
        >>> weight = torch.zeros(3, 4, requires_grad=True)
        >>> print(group_table(torch.optim.SGD([weight], lr=0.1, weight_decay=1e-4, fused=True)))
        SGD (fused): 1 tensor, 12 parameters, lr 0.1, weight decay 0.0001
    """
    groups = optimizer.param_groups
    title = f"{type(optimizer).__name__} ({implementation_of(optimizer)})"
    frozen_ids = {id(parameter) for parameter in frozen}
    if len(groups) == 1:
        tensors, numel, lr, decay, still = row(groups[0], frozen_ids)
        plural = "" if tensors == "1" else "s"
        later = f", {still} of them frozen" if frozen_ids else ""
        return f"{title}: {tensors} tensor{plural}, {numel} parameters{later}, lr {lr}, weight decay {decay}"
    rows = [("group", "tensors", "parameters", "lr", "weight decay", "frozen")]
    rows += [(str(group.get("name", index)), *row(group, frozen_ids)) for index, group in enumerate(groups)]
    columns = range(6 if frozen_ids else 5)
    widths = [max(len(line[column]) for line in rows) for column in columns]
    lines = [
        "  ".join([line[0].ljust(widths[0]), *(line[column].rjust(widths[column]) for column in columns[1:])])
        for line in rows
    ]
    if len(groups) > MOST_ROWS:  # such as a rate for each layer, twice
        left_out = len(groups) - 2 * END_ROWS
        lines[1 + END_ROWS : -END_ROWS] = [f"… {left_out} groups between these"]
    return "\n  ".join([f"{title}:", *lines])


def row(group: dict[str, object], frozen: Collection[int]) -> tuple[str, str, str, str, str]:
    """Return the number of tensors and of parameters, rate, decay and number of frozen parameters of a group."""
    params = group["params"]
    assert isinstance(params, list)
    numel = sum(parameter.numel() for parameter in params)
    still = sum(parameter.numel() for parameter in params if id(parameter) in frozen)
    decay = f"{group.get('weight_decay', 0):.4g}"
    return str(len(params)), f"{numel:,}", f"{group['lr']:.4g}", decay, f"{still:,}"
