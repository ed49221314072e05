"""The direction of what callbacks and schedules monitor, where their classes have a default that fits a loss only."""

from collections.abc import Callable, Iterator
from typing import Any

from jsonargparse import Namespace

from descent.config_errors.numbers import nodes, typed_key
from foundation.metrics.direction import direction_for, known_direction

PASSED = ("lightning.pytorch.callbacks.", "lightning.pytorch.cli.", "pytorch_lightning.callbacks.")
"""Where the classes lie whose `mode` is `min` by default, whatever they monitor."""


def settle_modes(config: Namespace, given: Callable[[], Namespace]) -> None:
    """Set the mode of Lightning's EarlyStopping, ModelCheckpoint and plateau where it was left out; check the others.

    These classes take a smaller value for the better one unless they are told otherwise, also of an accuracy.

    Args:
        config: A command's config with the defaults of all classes; it is changed in place.
        given: Returns the config without defaults; called only where it is needed.

    Raises:
        UserError: A mode contradicts what is known of the metric, or neither is known.
    """
    explicit: dict[str, Any] | None = None
    for path, name, arguments in monitors(config):
        monitor, mode = arguments["monitor"], arguments["mode"]
        if known_direction(monitor) == mode:
            continue
        if explicit is None:
            explicit = dict(nodes(given()))
        typed = explicit.get(path, {}).get("mode")
        arguments["mode"] = direction_for(name, monitor, typed, key=f"{typed_key(path)}.mode")


def monitors(config: Namespace) -> Iterator[tuple[str, str, Namespace]]:
    """Yield the path, the name and the arguments of every class of Lightning in a config that monitors a value."""
    for path, arguments in nodes(config):
        owner = str(arguments.get("class_path", ""))
        inside = arguments.get("init_args")
        if owner.startswith(PASSED) and isinstance(inside, Namespace) and inside.get("monitor") and inside.get("mode"):
            yield f"{path}.init_args", owner.rpartition(".")[2], inside
