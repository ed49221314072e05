"""Keep the samples of a long run within a bound, and store them compactly in a checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

Row = tuple[int, int, str, str, float]
"""Step, epoch, layer, quantity, value."""

MAX_SAMPLES = 1000


def added(rows: list[Row], new: list[Row], every: int) -> list[Row]:
    """Return the rows with those of a sample: every one of the first 1000, every second of 2000, and so on.

    The same holds for the shares of dead units, which are measured once an epoch. What is left depends only on the
    step or the epoch, so a resumed run has the rows of an uninterrupted one.

    Args:
        rows: In the order of the steps.
        new: Of one step, or of one epoch.
        every: Steps between two samples.

    Example:
        >>> rows = []
        >>> for step in range(10, 30001, 10):
        ...     rows = added(rows, [(step, 0, "a", "mean", 0.0)], every=10)
        >>> [row[0] for row in rows[:3]], rows[-1][0], len(rows)
        ([40, 80, 120], 30000, 750)
    """
    if not new:
        return rows

    def number(row: Row) -> int:
        return row[1] + 1 if row[3] == "dead" else row[0] // every

    dead = new[0][3] == "dead"
    stride = _stride(number(new[0]))
    newest = next((number(row) for row in reversed(rows) if (row[3] == "dead") == dead), 0)
    if stride > _stride(newest):
        rows = [row for row in rows if (row[3] == "dead") != dead or number(row) % stride == 0]
    return rows + new if number(new[0]) % stride == 0 else rows


def _stride(number: int) -> int:
    stride = 1
    while number > MAX_SAMPLES * stride:
        stride *= 2
    return stride


def packed(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the rows as tensors: 16 bytes each."""
    keys = {key: number for number, key in enumerate(dict.fromkeys(row[2:4] for row in rows))}
    places = [(step, epoch, keys[layer, quantity]) for step, epoch, layer, quantity, _ in rows]
    return {
        "keys": [list(key) for key in keys],
        "places": torch.tensor(places, dtype=torch.int32).reshape(-1, 3),
        "values": torch.tensor([row[4] for row in rows], dtype=torch.float32),
    }


def unpacked(state: Mapping[str, Any]) -> list[Row]:
    """Return the rows of `packed`, or of a checkpoint of an earlier version, which has them one by one.

    Example:
        >>> unpacked(packed([(5, 0, "head", "mean", 0.5)]))
        [(5, 0, 'head', 'mean', 0.5)]
    """
    if "rows" in state:
        return [tuple(row) for row in state["rows"]]
    keys, places, values = (state[name] for name in ("keys", "places", "values"))
    return [
        (step, epoch, *keys[key], value)
        for (step, epoch, key), value in zip(places.tolist(), values.tolist(), strict=True)
    ]
