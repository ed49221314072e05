"""The learning rates of parameter groups, and the table of groups that a run prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def group_table(optimizer: Optimizer) -> str:
    """Return a line for the optimizer, and a table if it has several groups.

    Example:
        >>> import torch
        >>> weight = torch.zeros(3, 4, requires_grad=True)
        >>> print(group_table(torch.optim.SGD([weight], lr=0.1, weight_decay=1e-4, fused=True)))
        SGD (fused): 1 tensor, 12 parameters, lr 0.1, weight decay 0.0001
    """
    groups = optimizer.param_groups
    title = f"{type(optimizer).__name__} ({implementation_of(optimizer)})"
    if len(groups) == 1:
        tensors, numel, lr, decay = row(groups[0])
        plural = "" if tensors == "1" else "s"
        return f"{title}: {tensors} tensor{plural}, {numel} parameters, lr {lr}, weight decay {decay}"
    rows = [("group", "tensors", "parameters", "lr", "weight decay")]
    rows += [(str(group.get("name", index)), *row(group)) for index, group in enumerate(groups)]
    widths = [max(len(line[column]) for line in rows) for column in range(5)]
    lines = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in rows
    ]
    return "\n  ".join([f"{title}:", *lines])


def row(group: dict[str, object]) -> tuple[str, str, str, str]:
    """Return the number of tensors, number of parameters, learning rate and weight decay of a group."""
    params = group["params"]
    assert isinstance(params, list)
    numel = sum(parameter.numel() for parameter in params)
    return str(len(params)), f"{numel:,}", f"{group['lr']:.4g}", f"{group.get('weight_decay', 0):.4g}"
