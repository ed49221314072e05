"""Checks of numbers and choices in constructors: a ValueError names the argument, its range and the value."""

from __future__ import annotations

from collections.abc import Sequence


def require_between(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raise ValueError unless `value` is finite and `low` ≤ `value` ≤ `high`, which NaN is not."""
    if not low <= value <= high or value == float("inf"):
        bounds = f"≥ {low:g}" if high == float("inf") else f"in [{low:g}, {high:g}]"
        bounds = f"finite and {bounds}" if value == high else bounds
        raise ValueError(f"{name} must be {bounds}, got {value}.")


def require_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ValueError unless `value` is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}.")


def require_at_least_one(**arguments: int) -> None:
    """Check that each argument, given by name, is ≥ 1.

    Raises:
        ValueError: An argument is below 1.

    Example:
        >>> require_at_least_one(width=0)
        Traceback (most recent call last):
        ValueError: width must be ≥ 1, got 0.
    """
    for name, value in arguments.items():
        if value < 1:
            raise ValueError(f"{name} must be ≥ 1, got {value}.")


def require_momentum(name: str, value: float) -> None:
    """Raise ValueError unless 0 ≤ `value` < 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value}.")


def require_fraction(name: str, value: float) -> None:
    """Raise ValueError unless 0 < `value` < 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must be in (0, 1), got {value}.")


def require_positive(name: str, value: float) -> None:
    """Raise ValueError unless `value` is finite and > 0."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be {'finite and ' if value == float('inf') else ''}> 0, got {value}.")
