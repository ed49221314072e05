"""Names of lines at their ends, in place of a legend."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from foundation.html.hover import hover

LINE, GAP = 0.047, 0.012
"""Height of a line of text, and the least gap between two labels, as shares of the height of the axes."""
TOP = 1.03
"""Where the highest label ends."""
WRAP = 14
"""Letters in a line of a label."""


class EndLabels:
    """Collect the ends of lines, and write the names beside them without overlaps.

    Args:
        axes: The axes of the lines.
        names: All names that have a group of hover texts, in the order of their numbers.
    """

    def __init__(self, axes: Any, names: Sequence[str]) -> None:
        self.axes = axes
        self.groups = {name: number for number, name in enumerate(names)}
        self._ends: list[tuple[str, float, str]] = []

    def add(self, name: str, end: float, color: str, line: Any = None, value: str = "") -> None:
        """Add a line: its name, last value and colour; with the line itself, its hover text is name and value."""
        self._ends.append((name, end, color))
        if line is not None:
            hover(line, f"{name}: {value} at the end", self.groups[name])

    def write(self) -> None:
        """Write the names; call it when the limits of the axes are final."""
        ends = [entry for entry in self._ends if np.isfinite(entry[1])]
        if not ends:
            return
        texts = ["\n".join(textwrap.wrap(name, WRAP)) for name, _, _ in ends]
        to_axes = self.axes.transData + self.axes.transAxes.inverted()
        x = self.axes.get_xlim()[1]
        wanted = [float(to_axes.transform((x, end))[1]) for _, end, _ in ends]
        heights = [LINE * (text.count("\n") + 1) + GAP for text in texts]
        for (name, _, color), text, place in zip(ends, texts, spread(wanted, heights), strict=True):
            written = self.axes.text(
                1.02, place, text, transform=self.axes.transAxes, color=color, fontsize=8.5, va="center"
            )
            if name in self.groups:
                hover(written, name, self.groups[name])


def spread(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Move places apart until labels of these heights do not overlap, as little as their order allows.

    Neighbours that touch become a block, which stands at the mean of what its members want, but not above `TOP`.

    Example:
        >>> [round(place, 2) for place in spread([0.5, 0.5, 0.9], [0.1, 0.1, 0.1])]
        [0.45, 0.55, 0.9]
    """
    blocks: list[list[int]] = []
    for index in sorted(range(len(wanted)), key=lambda i: wanted[i]):
        blocks.append([index])
        while len(blocks) > 1 and _start(blocks[-1], wanted, heights) < _end(blocks[-2], wanted, heights) - 1e-9:
            last = blocks.pop()
            blocks[-1] += last
    places = [0.0] * len(wanted)
    for block in blocks:
        low = _start(block, wanted, heights)
        for index in block:
            places[index] = low + heights[index] / 2
            low += heights[index]
    return places


def _start(block: Sequence[int], wanted: Sequence[float], heights: Sequence[float]) -> float:
    """Return where a block starts if its labels are on average where they want to be."""
    offsets = np.cumsum([0.0, *(heights[i] for i in block[:-1])]) + [heights[i] / 2 for i in block]
    return min(float(np.mean([wanted[i] for i in block] - offsets)), TOP - sum(heights[i] for i in block))


def _end(block: Sequence[int], wanted: Sequence[float], heights: Sequence[float]) -> float:
    return _start(block, wanted, heights) + sum(heights[i] for i in block)
