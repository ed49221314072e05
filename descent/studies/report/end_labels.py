"""Names of lines at their ends, in place of a legend."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from foundation.figure_style import TEXT_COLORS, apart
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
        ends = sorted((entry for entry in self._ends if np.isfinite(entry[1])), key=lambda entry: entry[1])
        if not ends:
            return
        texts = ["\n".join(textwrap.wrap(name, WRAP)) for name, _, _ in ends]
        to_axes = self.axes.transData + self.axes.transAxes.inverted()
        x = self.axes.get_xlim()[1]
        halves = [(LINE * (text.count("\n") + 1) + GAP) / 2 for text in texts]
        places = apart([float(to_axes.transform((x, end))[1]) for _, end, _ in ends], halves, TOP)
        for (name, _, color), text, place in zip(ends, texts, places, strict=True):
            ink = TEXT_COLORS.get(color, color)
            written = self.axes.text(
                1.02, place, text, transform=self.axes.transAxes, color=ink, fontsize=8.5, va="center"
            )
            if name in self.groups:
                hover(written, name, self.groups[name])
