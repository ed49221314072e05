"""Every figure has the one style: made by `panels` or `grid`, with its colours; labels do not overlap."""

import ast
import re
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from foundation.figure_style import COLORS, STYLE, legend, log_numbers, panels

ROOT = Path(__file__).parents[2]
FOLDERS = ("foundation", "lightning_modules", "datamodules", "callbacks", "descent", "benchmarks", "notebooks")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
OTHER_COLORS = re.compile(r"""tab10|tab20|["']C\d["']|["'](?:tab:\w+|red|green|blue|orange|steelblue)["']""")


def figures_made(text: str) -> list[int]:
    """Return the lines that make a figure of matplotlib without the style."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    named = [
        (call.lineno, call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", ""))
        for call in calls
    ]
    imports = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom | ast.Import)
               and "matplotlib.pyplot" in ast.unparse(node)]  # fmt: skip
    return sorted([line for line, name in named if name == "Figure"] + imports)


def test_no_figure_is_made_without_the_style() -> None:
    found = {}
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        lines = figures_made(text) if path.name != "figure_style.py" and "matplotlib" in text else []
        if lines or ("matplotlib" in text and OTHER_COLORS.search(text)):
            found[str(path.relative_to(ROOT))] = lines
    assert not found, "make figures with foundation.figure_style.panels, in its COLORS"
    assert len(SOURCES) > 200


@pytest.mark.parametrize(
    "text", ["from matplotlib.figure import Figure\nFigure()", "import matplotlib.pyplot as plt", "f = figure.Figure(figsize=1)"]
)  # fmt: skip
def test_one_would_be_found(text: str) -> None:
    assert figures_made(text)
    assert OTHER_COLORS.search('color="tab:blue"')


def test_panels_have_the_style() -> None:
    figure, axes = panels(2, size=(4, 3))
    assert [line.get_color() for line in axes[0].plot([[1, 2], [2, 3]])] == COLORS[:2]
    assert all(not each.spines["top"].get_visible() and each.spines["left"].get_visible() for each in axes)
    axes[1].set(xlabel="epoch")
    assert axes[1].xaxis.label.get_fontsize() == STYLE["axes.labelsize"]
    assert [line.get_alpha() for line in axes[1].get_xgridlines()[:1]] == [STYLE["grid.alpha"]]
    assert {label.get_fontsize() for label in axes[1].get_xticklabels()} == {STYLE["xtick.labelsize"]}
    assert figure.get_layout_engine() is not None


def test_a_legend_has_the_style() -> None:
    figure, axes = panels(2, size=(4, 3))
    for owner, options in ((axes[0], {}), (axes[1], {"loc": "upper left"}), (figure, {"fontsize": 8})):
        axes[0].plot([1, 2], label="loss")
        axes[1].plot([1, 2], label="loss")
        legend(owner, **options)
    drawn = [axes[0].get_legend(), axes[1].get_legend(), figure.legends[0]]
    assert all(each is not None and not each.get_frame_on() for each in drawn)
    assert {text.get_fontsize() for each in drawn if each for text in each.get_texts()} == {8.0}


def without_style(text: str) -> list[int]:
    """Return the lines that call a legend of matplotlib with its own settings."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "legend"
        and "frameon" not in {word.arg for word in call.keywords}
    ]


def test_no_legend_has_another_style() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCES if path.name != "figure_style.py"}
    found = {str(path.relative_to(ROOT)): lines for path, text in texts.items() if (lines := without_style(text))}
    assert not found, "make legends with foundation.figure_style.legend"
    assert without_style("axes.legend(loc=1)")


def test_a_log_axis_has_plain_numbers() -> None:
    figure, (axes,) = panels(size=(4, 3))
    axes.set(yscale="log", ylim=(0.02, 3))
    log_numbers(axes.yaxis)
    FigureCanvasAgg(figure).draw()
    labels = [tick.get_text() for tick in axes.get_yticklabels(which="both") if tick.get_text()]
    assert set(labels) >= {"0.1", "1", "0.05", "0.5", "2"}
    assert not any("10^" in label or "times" in label for label in labels)
