"""Checks of a schedule's arguments, each one line that names the argument and the value."""

from __future__ import annotations


def check_share(name: str, value: float) -> None:
    """Raise ValueError unless 0 ≤ `value` ≤ 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}.")


def check_momentum(name: str, value: float) -> None:
    """Raise ValueError unless 0 ≤ `value` < 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value}.")


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless `value` > 0."""
    if not value > 0:
        raise ValueError(f"{name} must be > 0, got {value}.")


def check_at_least(name: str, value: float, least: float) -> None:
    """Raise ValueError unless `value` ≥ `least`."""
    if not value >= least:
        raise ValueError(f"{name} must be ≥ {least}, got {value}.")
