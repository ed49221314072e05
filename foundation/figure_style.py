"""The one style of matplotlib figures: colours, panels, numbers at the axes, labels at the ends of lines, files."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which can be told apart in print and by colour-blind readers
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
TEXT_COLORS = {
    "#D55E00": "#C25600", "#009E73": "#008662", "#CC79A7": "#A36186", "#E69F00": "#9C6C00", "#56B4E9": "#3B7CA1",
    "#7F7F7F": "#666666",
}  # fmt: skip
"""The colours in which a text on white has a contrast of at least 4.5 (WCAG AA), by the colour of its line."""
MUTED = "#666666"
"""Of what is not data: notes, reference lines."""
PAGE_WIDTH = 4.35
"""Width of a page's figure in inches: letters of 8 points have 9 pixels on a screen of 400, beside a scroll bar."""
STYLE: dict[str, Any] = {  # what matplotlib reads when it makes a panel; titles and legends are made later
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.labelsize": 9,
    "font.size": 9,
    "grid.alpha": 0.3,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def panels(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float], lines: bool = True, **options: Any
) -> "tuple[Figure, list[Axes]]":
    """Make a figure without a window, with panels in the project's style.

    Args:
        rows: Rows of panels.
        columns: Columns of panels.
        size: Width and height of the figure in inches.
        lines: Whether lines of a grid are drawn, and the upper and right edge left out; not for images.
        **options: As for `Figure.subplots`, such as `sharex`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: Any = STYLE | {"axes.prop_cycle": color_cycle()}
    if not lines:
        style |= {"axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}
    with rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def color_cycle() -> Any:
    """Return the colours in the form in which matplotlib takes them."""
    from cycler import cycler

    return cycler(color=COLORS)


def grid(count: int, columns: int = 4, size: tuple[float, float] = (3.2, 2.3)) -> "tuple[Figure, list[Axes]]":
    """Make a figure with this many small panels; the rest of the last row is empty."""
    rows = -(-count // columns)
    figure, axes = panels(rows, columns, size=(size[0] * columns, size[1] * rows))
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count]


def legend(owner: "Axes | Figure", *entries: Any, **options: Any) -> None:
    """Add a legend in the project's style to a panel or a figure.

    Args:
        owner: The panel or figure.
        *entries: Lines and their labels; by default those that the panel has.
        **options: As for `Axes.legend`, such as `loc`.
    """
    owner.legend(*entries, **{"frameon": False, "fontsize": 8} | options)


def written(value: float) -> str:
    """Return a number as people write it: not as a power of ten, and small ones in short.

    Example:
        >>> [written(value) for value in (0.1, 20.0, 0.0005, 1e-5, 3e-08, 2.5e6, 0.0)]
        ['0.1', '20', '0.0005', '1e-5', '3e-8', '2.5e6', '0']
    """
    return re.sub(r"e([+-])0*(\d)", lambda found: f"e{found[1].replace('+', '')}{found[2]}", f"{value:g}")


def log_numbers(axis: "Axis") -> None:
    """Label a logarithmic axis with plain numbers, at 1, 2 and 5 of each power of ten where there is room."""
    axis.set_major_formatter(lambda value, _: written(value))
    low, high = sorted(axis.get_view_interval())
    digits = "" if low <= 0 or high / low > 300 else "25" if high / low > 10 else "2357"
    axis.set_minor_formatter(lambda value, _: written(value) if f"{value:e}"[0] in digits else "")
    for label in (*axis.get_minorticklabels(), *axis.get_majorticklabels()):
        label.set_fontsize(STYLE["ytick.labelsize"])


def label_ends(axes: "Axes", ends: Sequence[tuple[float, float, str, str]], height: float = 0.09) -> None:
    """Write labels at the ends of lines, in the lines' colours, moved apart where they would overlap.

    Args:
        axes: With all its lines; the labels stand to the right of it.
        ends: Last x, last y, text and colour of each line; a text may have several lines.
        height: Height of a line of text, as a share of the panel's.
    """
    axes.get_xlim(), axes.get_ylim()  # matplotlib computes the limits when they are read
    to_panel = axes.transData + axes.transAxes.inverted()
    places = sorted(
        ((float(to_panel.transform((x, y))[1]), text, color) for x, y, text, color in ends), key=lambda each: each[0]
    )
    halves = [height * (text.count("\n") + 1) / 2 for _, text, _ in places]
    for (_, text, color), place in zip(places, apart([place for place, *_ in places], halves), strict=True):
        axes.annotate(
            text, (1.0, place), xycoords="axes fraction", xytext=(6, 0), textcoords="offset points", va="center",
            color=TEXT_COLORS.get(color, color), fontsize=8, annotation_clip=False,
        )  # fmt: skip


def apart(places: Sequence[float], halves: Sequence[float], top: float = 1.0) -> list[float]:
    """Move labels up and then down until none overlaps another and none is above the top.

    Args:
        places: The middle of each label, ascending.
        halves: Half of its height.
        top: Where the highest one ends.

    Example:
        >>> apart([0.2, 0.5, 0.5], [0.1, 0.1, 0.1]), apart([0.9, 0.95], [0.1, 0.1])
        ([0.2, 0.5, 0.7], [0.7, 0.9])
    """
    found: list[float] = []
    for number, place in enumerate(places):
        lowest = found[-1] + halves[number - 1] + halves[number] if found else place
        found.append(max(place, lowest))
    above = top
    for number in reversed(range(len(found))):
        found[number] = min(found[number], above - halves[number])
        above = found[number] - halves[number]
    return [round(place, 6) for place in found]


def save(figure: "Figure", folder: Path, name: str) -> Path:
    """Save a figure as PNG and SVG, print where, and return the path of the PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"{name}.{suffix}", dpi=150)
    path = folder / f"{name}.png"
    print(f"{path} and {name}.svg")
    return path
