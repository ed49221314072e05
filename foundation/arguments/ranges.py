"""A range of numbers, written as in the documentation, and the error for a number outside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from foundation.errors import UserError


@dataclass(frozen=True)
class Range:
    """An interval of finite numbers.

    Args:
        low: Lower bound; minus infinity if there is none.
        high: Upper bound; infinity if there is none.
        open_low: Whether `low` itself is outside.
        open_high: Whether `high` itself is outside.
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        """Return whether a number is finite and inside; NaN is not."""
        if isinstance(value, float) and not math.isfinite(value):
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)


@cache
def parsed(text: str) -> Range:
    """Return the range that a text describes: `finite`, `≥ 0`, `> 0`, `≤ 0`, `[0, 1)` and so on.

    Example:
        >>> 0.5 in parsed("(0, 1]"), 0 in parsed("(0, 1]"), float("inf") in parsed("≥ 0")
        (True, False, False)
    """
    if text == "finite":
        return Range()
    if text[0] in "≥>":
        return Range(low=float(text[1:]), open_low=text[0] == ">")
    if text[0] in "≤<":
        return Range(high=float(text[1:]), open_high=text[0] == "<")
    low, high = text[1:-1].split(",")
    return Range(float(low), float(high), text[0] == "(", text[-1] == ")")


def fits(value: float, allowed: str) -> bool:
    """Return whether a number is in a range, see `parsed`; of `A or whole B` B counts for whole numbers.

    Example:
        >>> fits(20, "[0, 1] or whole ≥ 0"), fits(20.0, "[0, 1] or whole ≥ 0")
        (True, False)
    """
    share, _, whole = allowed.partition(" or whole ")
    return value in parsed(whole if whole and isinstance(value, int) else share)


OPEN = ("≥ 0", "≥ 1", "≥ -1", "> 0")
"""Ranges without an upper end."""


def check_range(key: str, value: Any, allowed: str) -> None:
    """Raise UserError if a number, or one of a list, is outside its range; let anything else pass.

    Example:
        >>> check_range("trainer.gradient_clip_val", -1.0, "≥ 0")
        Traceback (most recent call last):
        foundation.errors.UserError: trainer.gradient_clip_val must be ≥ 0, got -1.0.
    """
    for number in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(number, int) and not -(2**63) <= number < 2**63 and allowed in ("finite", *OPEN):
            raise UserError(f"{key} must be below 2^63, the largest integer of torch, got {value}.")
        if isinstance(number, (int, float)) and not isinstance(number, bool) and not fits(number, allowed):
            finite = "" if math.isfinite(number) or allowed.startswith(("[", "(", "finite")) else "finite and "
            words = allowed.replace(" or whole ", ", or a whole number ")
            inside = "in " if allowed.startswith(("[", "(")) else ""
            raise UserError(f"{key} must be {finite}{inside}{words}, got {value}.")


def check_ranges(prefix: str, arguments: Mapping[str, Any], table: Mapping[str, str], known_class: bool = True) -> None:
    """Check the numbers among some arguments against a table.

    Args:
        prefix: What stands before the name in the message, such as `model.optimizer.`.
        arguments: Values by name; what is neither a number nor a list of numbers passes.
        table: Range by name.
        known_class: Whether an argument that is not in the table must be finite; else only NaN is refused.

    Raises:
        UserError: A number is outside its range.
    """
    for name, value in arguments.items():
        if name in table:
            check_range(prefix + name, value, table[name])
        elif known_class or value != value:  # NaN
            check_range(prefix + name, value, "finite")
