"""Write one HTML page about the layers of a run: findings first, then figures, all in one file."""

import base64
import html
import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from foundation.html.document import Section

FIGURES = {
    "gradient": ("Gradient flow", "Norm of each layer's gradient before clipping, by step (logarithmic)."),
    "update": ("Updates", "Size of each layer's update relative to its weights, by step; about 0.001 is usual."),
    "std": ("Activations", "Standard deviation of each layer's output, by step."),
    "near_zero": ("Outputs near zero", "Share of each layer's outputs with an absolute value below 0.05."),
    "dead": ("Dead units", "Share of each layer's units that were 0 for every sampled image of an epoch."),
    "weight_std": ("Weights", "Standard deviation of each layer's weights, by step."),
}
LOGARITHMIC = ("gradient", "update", "std", "weight_std")


def diagnostics_page(table: "pd.DataFrame", found: list[str], title: str) -> str:
    """Return the page as HTML, with the figures inside.

    Args:
        table: See `findings`.
        found: The findings.
        title: Of the run.
    """
    from foundation.html import document, note  # not needed before the end of a run

    listed = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in found)
    summary = f"<ul>{listed}</ul>" if found else "<p>No problem was found.</p>"
    measured = {name: table[table["quantity"] == name] for name in FIGURES}
    steps, layers = table["step"].nunique(), table["layer"].nunique()
    legend = "Grey: not measured, or 0 or not finite on a logarithmic scale."
    lead = f'<div class="findings"><h2>Findings</h2>{summary}</div>{note(legend)}'
    sections = [_section(name, rows) for name, rows in measured.items() if not rows.empty]
    return document(title, f"{steps} steps were sampled, {layers} layers.", lead, sections)


def _section(quantity: str, rows: "pd.DataFrame") -> "Section":
    from foundation.html import section

    name, text = FIGURES[quantity]
    png = base64.b64encode(_png(heat_map(rows, quantity in LOGARITHMIC))).decode()
    image = f'<img alt="{name}: layers by steps" src="data:image/png;base64,{png}">'
    scrolling = f'<div class="wide" role="region" aria-label="{name}" tabindex="0">{image}</div>'
    return section(quantity, name, f"<p>{text}</p>{scrolling}")


def heat_map(rows: "pd.DataFrame", logarithmic: bool) -> "Figure":
    """Draw layers (first at the top) by steps."""
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.figure import Figure

    layers = list(dict.fromkeys(rows["layer"]))
    grid = rows.pivot_table(index="layer", columns="step", values="value", sort=False).reindex(layers)
    values = grid.sort_index(axis=1).to_numpy(dtype=float)
    positive = values[np.isfinite(values) & (values > 0)]
    scaled = logarithmic and positive.size > 0
    # A share is drawn on the whole scale, so that a color means the same on each page.
    norm = LogNorm(positive.min() / 1.01, positive.max()) if scaled else Normalize(0, 1)
    figure = Figure(figsize=(9, max(1.8, 0.3 * len(layers) + 1.0)), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("#d9d9d9")  # 0 or not finite on a logarithmic scale
    shown = np.where(values > 0, values, np.nan) if scaled else values
    image = axes.imshow(shown, aspect="auto", interpolation="nearest", cmap="cividis", norm=norm)
    figure.colorbar(image, ax=axes, pad=0.01)
    axes.set_yticks(range(len(layers)), layers, fontsize=8)
    steps = sorted(grid.columns)
    places = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), 9)).astype(int))
    axes.set_xticks(places, [str(steps[place]) for place in places])
    axes.set_xlabel("optimizer step")
    return figure


def _png(figure: "Figure") -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, dpi=110)
    return stream.getvalue()
