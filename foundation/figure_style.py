"""Colours, grid and files of matplotlib figures."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which can be told apart in print and by colour-blind readers
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]


def grid(panels: int, columns: int = 4, size: tuple[float, float] = (3.2, 2.3)) -> "tuple[Figure, list[Axes]]":
    """Make a figure with this many small panels; the rest of the last row is empty."""
    from matplotlib.figure import Figure

    rows = -(-panels // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[panels:]:
        unused.set_axis_off()
    return figure, axes[:panels]


def save(figure: "Figure", folder: Path, name: str) -> Path:
    """Save a figure as PNG and SVG, print where, and return the path of the PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"{name}.{suffix}", dpi=150)
    path = folder / f"{name}.png"
    print(f"{path} and {name}.svg")
    return path
