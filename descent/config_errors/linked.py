"""A value of the config that the data decides: it would have no effect."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from jsonargparse import Namespace

from foundation.compat.signatures import signature_of
from foundation.errors import UserError
from lightning_modules.base.task import Task

OWN_NUMBERS = ("num_classes", "num_labels")
"""Arguments of tasks for data that do not know their number of classes."""


def check_linked(config: Namespace, data: Any, links: Mapping[str, str]) -> None:
    """Refuse a number of classes or channels that is not the data's.

    A value that is the default of its class passes: nothing shows whether it was given.

    Args:
        config: The config of a command.
        data: The data module that was built from it.
        links: The attribute of the data by the argument of the module that it fills in.

    Raises:
        UserError: A value differs from the data's; the message names its key.
    """
    for name in OWN_NUMBERS if _is_task(str(config.model.class_path)) else ():
        given, found = config.get(f"model.init_args.{name}"), getattr(data, "num_classes", None)
        if None not in (given, found) and given != found:
            raise UserError(f"model.{name} is {given}, but the data has num_classes {found}, which counts: remove it.")
    for target, source in links.items():
        part, _, name = target.partition(".init_args.")
        node = config.get(f"model.init_args.{part}")
        given = node.get(f"init_args.{name}") if isinstance(node, Namespace) else None
        found = getattr(data, source, None)
        if given is None or found is None or given == found:
            continue
        module, _, kind = str(node.class_path).rpartition(".")
        argument = signature_of(getattr(import_module(module), kind)).get(name)
        if argument is None or argument.required or given != argument.default:
            raise UserError(
                f"model.{part}.{name} is {given}, but the data has {source} {found}, which counts: remove it."
            )


def _is_task(class_path: str) -> bool:
    """Whether a class path names a task of ours, or a class derived from one; only they take the data's number."""
    module, _, name = class_path.rpartition(".")
    kind = getattr(import_module(module), name)
    return isinstance(kind, type) and issubclass(kind, Task)
