"""Write one HTML page about the layers of a run: a figure for each quantity, then the findings, all in one file."""

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from callbacks.diagnostics.findings import DEAD, VANISHING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from foundation.html.document import Section

LONGEST = 22  # characters of a layer's name
UNUSUAL = "#a63d00"
"""Of a name; the page replaces it by its own colour of errors, which can be read in the dark mode too."""


class Drawn(NamedTuple):
    """How a quantity is drawn.

    Args:
        title: Of its section.
        text: What it shows and what is usual.
        unit: Label of the colour scale.
        usual: Lowest and highest usual value; as shares of the largest layer's median if they are `relative`.
        logarithmic: Whether the colours are those of the logarithm; else they are those of a share, 0 to 100 %.
        relative: See `usual`.
    """

    title: str
    text: str
    unit: str
    usual: tuple[float, float] | None = None
    logarithmic: bool = True
    relative: bool = False


FIGURES = {
    "update": Drawn(
        "Updates",
        "Size of a step relative to the weights that it changes. Usual is about 0.001; far less hardly learns, and"
        " more than 0.1 destroys what was learned.",
        "step / weights",
        (1e-5, 1e-1),
    ),
    "gradient": Drawn(
        "Gradient flow",
        "Norm of the gradient of each layer's own parameters, before clipping. Usual is at least a ten-thousandth of"
        " the largest layer's; less means that the gradient vanishes on its way.",
        "gradient norm",
        (VANISHING, 1.0),
        relative=True,
    ),
    "dead": Drawn(
        "Dead units",
        f"Share of a ReLU's units that were 0 for every sampled image of an epoch. Usual is below {DEAD:.0%}.",
        "share of units",
        (0.0, DEAD),
        logarithmic=False,
    ),
    "std": Drawn(
        "Activations",
        "Standard deviation of each layer's output. There is no usual value; it should neither shrink nor grow by"
        " orders of magnitude from layer to layer.",
        "standard deviation",
    ),
    "near_zero": Drawn(
        "Outputs near zero",
        "Share of each layer's outputs with an absolute value below 0.05. After a ReLU about half is common.",
        "share of outputs",
        logarithmic=False,
    ),
    "weight_std": Drawn(
        "Weights",
        "Standard deviation of each layer's weights. There is no usual value; a steady growth calls for weight decay.",
        "standard deviation",
    ),
}


def diagnostics_page(
    table: "pd.DataFrame", found: list[str], title: str, types: Mapping[str, str] | None = None
) -> str:
    """Return the page as HTML, with the figures inside.

    Args:
        table: See `findings`.
        found: The findings.
        title: Of the run.
        types: Class name of each layer.
    """
    from foundation.html import document, note, section  # not needed before the end of a run

    count = f"{len(found)} problem{'s were' if len(found) > 1 else ' was'} found" if found else "No problem was found."
    verdict = f'<a href="#findings">{count}</a>, below the figures.' if found else count
    legend = "Hatched: not measured, or 0 or not finite where the colours are logarithmic."
    lead = f'<p class="verdict">{verdict}</p>{note(legend)}'
    measured = {name: table[table["quantity"] == name] for name in FIGURES}
    sections = [_section(name, rows, types or {}) for name, rows in measured.items() if not rows.empty]
    if found:
        listed = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in found)
        sections.append(section("findings", "Findings", f'<div class="findings"><ul>{listed}</ul></div>'))
    steps, layers = table["step"].nunique(), table["layer"].nunique()
    return document(title, f"{steps} steps were sampled, {layers} layers.", lead, sections)


def _section(quantity: str, rows: "pd.DataFrame", types: Mapping[str, str]) -> "Section":
    from foundation.html import section
    from foundation.html.svg import svg

    drawn = FIGURES[quantity]
    figure = svg(heat_map(rows, drawn, types), quantity, f"{drawn.title}: layers by steps", themed=True)
    return section(quantity, drawn.title, f'<p>{drawn.text}</p><figure class="themed">{figure}</figure>')


def heat_map(rows: "pd.DataFrame", drawn: Drawn, types: Mapping[str, str] | None = None) -> "Figure":
    """Draw layers (first at the top) by steps; a layer outside the usual range has its name in another colour."""
    from foundation.figure_style import PAGE_WIDTH, panels

    layers = list(dict.fromkeys(rows["layer"]))
    grid = rows.pivot_table(index="layer", columns="step", values="value", sort=False).reindex(layers)
    grid = grid.sort_index(axis=1)
    values = grid.to_numpy(dtype=float)
    usual = usual_range(values, drawn)
    figure, (axes,) = panels(size=(PAGE_WIDTH, max(1.9, 0.33 * len(layers) + 1.0)), lines=False)
    _draw_values(figure, axes, values, drawn, usual)
    axes.set_yticks(range(len(layers)), [label_of(layer, (types or {}).get(layer, "")) for layer in layers], fontsize=8)
    for label, row in zip(axes.get_yticklabels(), values, strict=True):
        if usual is not None and not usual[0] <= middle_of(row) <= usual[1]:
            label.set(color=UNUSUAL, fontweight="bold")
    steps = list(grid.columns)
    places = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), 5)).astype(int))
    axes.set_xticks(places, [str(steps[place]) for place in places])
    axes.set_xlabel("optimizer step")
    return figure


def _draw_values(
    figure: "Figure", axes: "Axes", values: np.ndarray, drawn: Drawn, usual: tuple[float, float] | None
) -> None:
    """Draw the values and their colour scale; a bracket beside the scale shows what is usual."""
    from matplotlib.colors import LogNorm, Normalize

    from foundation.figure_style import MUTED, log_numbers

    positive = values[np.isfinite(values) & (values > 0)]
    scaled = drawn.logarithmic and positive.size > 0
    # A share is drawn on the whole scale, so that a color means the same on each page.
    norm = LogNorm(positive.min() / 1.01, positive.max() * 1.01) if scaled else Normalize(0, 1)
    axes.patch.set(facecolor="none", hatch="////", edgecolor=MUTED, linewidth=0)
    shown = np.where(values > 0, values, np.nan) if scaled else values
    image = axes.imshow(shown, aspect="auto", interpolation="nearest", cmap="viridis", norm=norm)
    bar = figure.colorbar(image, ax=axes, pad=0.03, fraction=0.06)
    bar.set_label(drawn.unit, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    if scaled:
        log_numbers(bar.ax.yaxis)
    else:
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    if usual is not None:
        ends = bar.ax.get_ylim()
        low, high = max(usual[0], ends[0]), min(usual[1], ends[1])
        if low < high:
            bar.ax.plot([-0.35, -0.35], [low, high], color="#009E73", linewidth=3, clip_on=False,
                        transform=bar.ax.get_yaxis_transform(), solid_capstyle="butt")  # fmt: skip
            bar.ax.set_title("usual ▏", fontsize=8, color=MUTED, loc="right")


def usual_range(values: np.ndarray, drawn: Drawn) -> tuple[float, float] | None:
    """Return the lowest and the highest usual value of a quantity; `None` if nothing is known.

    Example:
        >>> usual_range(np.array([[2.0, 2.0], [1e-6, 1e-6]]), FIGURES["gradient"])
        (0.0002, inf)
    """
    if drawn.usual is None or not drawn.relative:
        return drawn.usual
    largest = max((middle for row in values if np.isfinite(middle := middle_of(row))), default=0.0)
    return (drawn.usual[0] * largest, float("inf")) if largest > 0 else None


def middle_of(row: np.ndarray) -> float:
    """Return the median of the finite values; NaN if there is none."""
    finite = row[np.isfinite(row)]
    return float(np.median(finite)) if finite.size else float("nan")


def label_of(layer: str, kind: str) -> str:
    r"""Return a layer's name and below it its type; a long name loses its middle.

    Example:
        >>> label_of("network.head", "Linear")
        'head\nLinear'
        >>> label_of("network.stages.0.blocks.11.attention.projection", "Linear")
        'stages.0.bl…projection\nLinear'
    """
    name = layer.removeprefix("network.")
    if len(name) > LONGEST:
        half = LONGEST // 2
        name = f"{name[:half]}…{name[1 - half :]}"
    return f"{name}\n{kind}".rstrip()
