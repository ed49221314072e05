"""Check every number, duration and untyped flag of a config before anything is built or written."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.callbacks import Callback
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from foundation.arguments.ranges import check_ranges
from foundation.arguments.tables import ANY, CALLBACK, COMMAND, LOSS, METHODS, NUMBER, OPTIMIZER, SCHEDULER, TRAINER
from foundation.errors import UserError

OURS = ("lightning_modules", "datamodules", "callbacks")
KNOWN = (*OURS, "torch", "torchvision", "timm", "schedulefree", "lightning", "pytorch_lightning")
"""Packages whose classes take finite numbers only."""
UNITS = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds")
FLAGS = ("reduce", "size_average")


def check_numbers(config: Namespace, command: str = "fit") -> None:
    """Check the numbers of a command's config: sign, range, and that they are finite.

    Our own classes check theirs in their constructors. Of a class that is not known only NaN is refused.

    Args:
        config: The config of the command, with the defaults of all classes.
        command: The method of the Trainer.

    Raises:
        UserError: A number is outside its range; the message names the key.
    """
    options = METHODS.get(command, {})
    given = {name: config.get(name) for name in (*COMMAND, *options)}
    for name, value in given.items():
        check_ranges("--", {name: value}, COMMAND | options)
    check_ranges("trainer.", vars(config.trainer), TRAINER)
    for name in ("max_time", "val_check_interval"):
        check_duration(f"trainer.{name}", config.trainer.get(name))
    if command == "find_lr" and not config.low < config.high:
        raise UserError(f"--low must be below --high, got {config.low:g} and {config.high:g}.")
    for path, node in nodes(config):
        class_path, arguments = node.get("class_path"), node.get("init_args")
        if isinstance(class_path, str) and isinstance(arguments, (Namespace, Mapping)):
            values = vars(arguments) if isinstance(arguments, Namespace) else arguments
            package = class_path.partition(".")[0]
            check_flags(typed_key(path), class_path, values)
            check_ranges(f"{typed_key(path)}.", values, {**ANY, **table_of(class_path)}, known_class=package in KNOWN)


def check_duration(key: str, value: Any) -> None:
    """Check a duration: `DD:HH:MM:SS`, or a mapping of `timedelta`'s arguments.

    Raises:
        UserError: It is neither.
    """
    if isinstance(value, Mapping):
        if unknown := [name for name in value if name not in UNITS]:
            raise UserError(f"{key} has no {unknown[0]}: a duration is given in {', '.join(UNITS)}.")
        check_ranges(f"{key}.", value, dict.fromkeys(value, NUMBER))
        if wrong := [name for name, number in value.items() if not isinstance(number, (int, float))]:
            raise UserError(f"{key}.{wrong[0]} must be a number, got {value[wrong[0]]}.")
    if isinstance(value, str) and not re.fullmatch(r"\d+(:\d+){3}", value.strip()):
        raise UserError(f"{key} is {value}: a duration is written DD:HH:MM:SS, such as 00:12:00:00 for 12 hours.")


def check_flags(key: str, class_path: str, values: Mapping[str, Any]) -> None:
    """Check the two flags of torch's losses that have no type; whatever is empty would mean "false".

    Raises:
        UserError: One is neither true nor false nor null.
    """
    for name in FLAGS if class_path.startswith("torch.nn.") else ():
        if values.get(name) is not None and not isinstance(values[name], bool):
            raise UserError(
                f"{key}.{name} must be true, false or null, got {values[name]}: "
                "torch has replaced it by reduction, which is mean or sum."
            )


def table_of(class_path: str) -> Mapping[str, str]:
    """Return the ranges of a class's arguments; empty for a class that checks its own, and one that is not known."""
    module, _, name = class_path.rpartition(".")
    kind = getattr(import_module(module), name, None) if module else None
    package = class_path.partition(".")[0]
    if not isinstance(kind, type):
        return {}
    if issubclass(kind, Optimizer):
        return OPTIMIZER
    if issubclass(kind, LRScheduler):
        return SCHEDULER
    if issubclass(kind, Callback) and package not in OURS:
        return CALLBACK if package in KNOWN else {}
    return LOSS if kind.__module__ == "torch.nn.modules.loss" else {}


def nodes(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every namespace and mapping inside a config, with its path; items of lists have their number."""
    if isinstance(value, (Namespace, Mapping)):
        yield path, value
        items = list(vars(value).items() if isinstance(value, Namespace) else value.items())
    elif isinstance(value, (list, tuple)):
        items = [(str(number), item) for number, item in enumerate(value)]
    else:
        return
    for key, item in items:
        yield from nodes(item, f"{path}.{key}" if path else str(key))


def typed_key(path: str) -> str:
    """Return a path as it is typed: without `init_args`, and without the number in a list.

    Example:
        >>> typed_key("trainer.callbacks.0.init_args.mode")
        'trainer.callbacks.mode'
    """
    return ".".join(part for part in path.split(".") if part != "init_args" and not part.isdigit())
