"""Describe optimizers and schedules as plain data, which a checkpoint holds and a resumed run is compared with."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from foundation.compat.torch import LAST_LR, STEP_COUNT
from foundation.factories import arguments_of, class_of

RUNTIME = {"optimizer", "base_lrs", "last_epoch", "targets", LAST_LR, STEP_COUNT}
"""Attributes of a scheduler that follow from the optimizer or the step, and not from its arguments."""
SCHEDULED = {"lr", "initial_lr", "max_lr", "min_lr", "momentum", "betas", "base_momentum", "max_momentum"}
"""Options of a parameter group that a schedule may set."""
DEPTH = 8  # of nested objects; a schedule within a warm-up has 3


def class_name(kind: Any) -> str:
    """Return a class's package and name; the module within the package may change from version to version.

    Example:
        >>> class_name(torch.optim.AdamW)
        'torch.AdamW'
    """
    return f"{getattr(kind, '__module__', '').partition('.')[0]}.{getattr(kind, '__qualname__', str(kind))}"


def described(value: Any, depth: int = DEPTH) -> Any:
    """Return a value of a config as plain data: an object or a factory as its class and its arguments.

    Example:
        >>> from functools import partial
        >>> described({"kind": partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.5)})
        {'kind': {'class': 'torch.ExponentialLR', 'last_epoch': -1, 'gamma': 0.5}}
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): described(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [described(item, depth - 1) for item in value]
    if callable(value):
        kind = class_of(value)
        arguments = _defaults(kind) | arguments_of(value) if isinstance(kind, type) else arguments_of(value)
        return {"class": class_name(kind)} | described(arguments, depth - 1)
    attributes = getattr(value, "__dict__", {}) if depth > 0 else {}
    kept = {key: item for key, item in attributes.items() if key not in RUNTIME}
    return {"class": class_name(type(value))} | described(kept, depth - 1)


def _defaults(kind: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(kind).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}


def title(description: Any) -> str:
    """Return the name of a described schedule, with what stands inside a warm-up.

    Example:
        >>> title({"class": "ours.Warmup", "scheduler": {"class": "ours.Cosine"}}), title(None)
        ('Warmup(Cosine)', 'a constant learning rate')
    """
    if not isinstance(description, Mapping) or "class" not in description:
        return "a constant learning rate"
    name = str(description["class"]).rpartition(".")[2]
    inner = description.get("scheduler")
    return f"{name}({title(inner)})" if isinstance(inner, Mapping) else name


def differing(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the path and both values where two descriptions differ.

    A name that only one of them has is skipped: another version of a class has gained or lost it.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        if old.get("class") != new.get("class"):
            yield path, title(old), title(new)
            return
        for key in old:
            if key in new:
                yield from differing(old[key], new[key], f"{path}.{key}" if path else key)
    elif old != new:
        yield path, title(old) if isinstance(old, Mapping) else old, title(new) if isinstance(new, Mapping) else new


def find(description: Any, key: str) -> Any:
    """Return the value of the first key of that name anywhere in a description, or None."""
    if not isinstance(description, Mapping):
        return None
    found = (find(item, key) for item in description.values())
    return description[key] if key in description else next((item for item in found if item is not None), None)


def optimizer_record(optimizer: Optimizer, schedule: Any, module: nn.Module) -> dict[str, Any]:
    """Describe an optimizer that has taken no step, for the checkpoints of its run.

    Args:
        optimizer: The optimizer; of its groups every option is described, the rate before the schedule changes it.
        schedule: The schedule as the config has it (a factory), or a scheduler that has taken no step.
        module: Whose parameters are optimized.
    """
    names = {id(parameter): name.replace("_orig_mod.", "") for name, parameter in module.named_parameters()}
    groups = []
    for group in optimizer.param_groups:
        options = {key: described(value) for key, value in group.items() if key != "params"}
        options["lr"] = described(group.get("initial_lr", group["lr"]))
        listed = "\n".join(names.get(id(parameter), "?") for parameter in group["params"])
        options["parameters"] = hashlib.blake2b(listed.encode(), digest_size=8).hexdigest()
        options["tensors"] = len(group["params"])
        groups.append(options)
    return {"class": class_name(type(optimizer)), "groups": groups, "schedule": described(schedule)}
