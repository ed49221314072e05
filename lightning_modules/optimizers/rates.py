"""Learning rates by the names under which they are logged."""

from collections.abc import Sequence
from typing import Any


def rates_of(groups: Sequence[dict[str, Any]], prefix: str = "lr") -> dict[str, float]:
    """The rate of each parameter group: ``prefix`` for a single one, else ``prefix/<name>``, or its number.

    Example:
        >>> rates_of([{"lr": 0.1}])
        {'lr': 0.1}
        >>> rates_of([{"lr": 0.1, "name": "decay"}, {"lr": 0.2}])
        {'lr/decay': 0.1, 'lr/1': 0.2}
    """
    if len(groups) == 1:
        return {prefix: float(groups[0]["lr"])}
    return {f"{prefix}/{group.get('name', number)}": float(group["lr"]) for number, group in enumerate(groups)}
