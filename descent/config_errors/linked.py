"""A value of the config that the data decides: it would have no effect."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from jsonargparse import Namespace

from foundation.compat.signatures import signature_of
from foundation.errors import UserError


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
