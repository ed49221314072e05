"""Batches of dataclasses and named tuples as plain dicts, which a file can hold without pickled code."""

import sys
from dataclasses import fields, is_dataclass
from typing import Any

from foundation.errors import UserError

CLASS, FIELDS = "class of the batch", "fields"


def as_plain(batch: Any) -> Any:
    """Replace dataclasses and named tuples by dicts with the name of their class."""
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return _named(batch, {name: getattr(batch, name) for name in batch._fields})
    if is_dataclass(batch) and not isinstance(batch, type):
        return _named(batch, {each.name: getattr(batch, each.name) for each in fields(batch)})
    if isinstance(batch, dict):
        return {key: as_plain(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch)([as_plain(value) for value in batch])
    return batch


def _named(batch: Any, values: dict[str, Any]) -> dict[str, Any]:
    kind = type(batch)
    return {CLASS: f"{kind.__module__}:{kind.__qualname__}", FIELDS: {k: as_plain(v) for k, v in values.items()}}


def as_objects(batch: Any) -> Any:
    """Undo `as_plain`; only classes are used whose module is imported already, so that the file runs no code.

    Raises:
        UserError: A class is not known.
    """
    if isinstance(batch, dict) and CLASS in batch:
        module, _, name = batch[CLASS].partition(":")
        kind: Any = sys.modules.get(module)
        for part in name.split("."):
            kind = getattr(kind, part, None)
        if kind is None:
            raise UserError(f"the batch is of the class {name} of {module}, which is not imported: import it first.")
        return kind(**{key: as_objects(value) for key, value in batch[FIELDS].items()})
    if isinstance(batch, dict):
        return {key: as_objects(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch)([as_objects(value) for value in batch])
    return batch
