"""The value that a checkpoint follows: is it one of validation, is it logged at all."""

import difflib
import re
from collections.abc import Iterable

from lightning.fabric.utilities.exceptions import MisconfigurationException

VALIDATION = re.compile(r"val(id|idation)?[/_.]")


def belongs_to_validation(monitor: str) -> bool:
    """Whether a logged value comes from validation, by its name.

    Example:
        >>> belongs_to_validation("val/loss"), belongs_to_validation("train/loss"), belongs_to_validation("value_loss")
        (True, False, False)
    """
    return VALIDATION.match(monitor) is not None


def refuse_unlogged(monitor: str, logged: Iterable[str]) -> None:
    """Raise where ``monitor`` is not among what was logged.

    Raises:
        MisconfigurationException: Names the closest keys, or all of them.
    """
    keys = sorted(set(logged))
    if monitor in keys:
        return
    close = difflib.get_close_matches(monitor, keys, n=2)
    way_out = f"did you mean {' or '.join(map(repr, close))}?" if close else f"logged are: {', '.join(keys) or 'none'}."
    raise MisconfigurationException(f"the checkpoint follows monitor={monitor!r}, which nobody logs; {way_out}")
