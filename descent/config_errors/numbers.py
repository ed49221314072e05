"""Check every number of a config against its range before anything is built or written."""

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
    duration = config.trainer.get("max_time")
    if isinstance(duration, Mapping):
        check_ranges("trainer.max_time.", duration, dict.fromkeys(duration, NUMBER))
    if command == "find_lr" and not config.low < config.high:
        raise UserError(f"--low must be below --high, got {config.low:g} and {config.high:g}.")
    for path, node in nodes(config):
        class_path, arguments = node.get("class_path"), node.get("init_args")
        if isinstance(class_path, str) and isinstance(arguments, (Namespace, Mapping)):
            values = vars(arguments) if isinstance(arguments, Namespace) else arguments
            package = class_path.partition(".")[0]
            check_ranges(f"{typed_key(path)}.", values, {**ANY, **table_of(class_path)}, known_class=package in KNOWN)


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
