"""Every figure has the one style: made by `panels` or `grid`, with its colours; labels do not overlap."""

import ast
import re
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation

from foundation.figure_style import COLORS, STYLE, TEXT_COLORS, label_ends, legend, log_numbers, panels
from foundation.html.elements import contrast
from foundation.html.style import STYLE as PAGE_STYLE
from foundation.html.style import TEXT_NAMES
from foundation.html.svg import svg

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


def test_labels_stand_beside_the_ends_of_their_lines() -> None:
    _, (axes,) = panels(size=(4, 3))
    axes.plot([1, 2], [2.0, 0.6])
    axes.plot([1, 2], [1.8, 1.5])
    label_ends(axes, [(2, 0.6, "low", COLORS[0]), (2, 1.5, "high", COLORS[1])])
    places = [axes.transAxes.transform(text.xy)[1] for text in axes.texts if isinstance(text, Annotation)]
    assert places == pytest.approx([axes.transData.transform((2, y))[1] for y in (0.6, 1.5)], abs=1)


@pytest.mark.parametrize("color", [*COLORS, "#7F7F7F"])
def test_a_text_in_the_colour_of_a_line_can_be_read(color: str) -> None:
    ink = TEXT_COLORS.get(color, color)
    red, green, blue = (int(ink[start : start + 2], 16) for start in (1, 3, 5))
    assert contrast((red, green, blue), (255, 255, 255)) >= 4.5


def test_a_themed_figure_can_be_read_in_both_modes() -> None:
    modes = re.findall(r":root \{(.*?)\}", PAGE_STYLE, re.DOTALL)
    assert len(modes) == 3  # light, dark, print
    for mode in modes:
        colors = dict(re.findall(r"--(\w+): (#\w+)", mode))
        paper = colors["paper"] if len(colors["paper"]) == 7 else "#ffffff"
        for name in ("soft", "error", "blue", *TEXT_NAMES):
            text, ground = (
                tuple(int(f"{value[1:] * 2 if len(value) == 4 else value[1:]}"[at : at + 2], 16) for at in (0, 2, 4))
                for value in (colors[name], paper)
            )
            assert contrast(text, ground) >= 4.5, (name, mode)  # type: ignore[arg-type]
    _, (axes,) = figure = panels(size=(3, 2))
    axes.text(0, 0, "name", color=TEXT_COLORS[COLORS[1]])
    drawn = svg(figure[0], "x", "label", themed=True)
    assert "var(--orange)" in drawn
    assert "currentColor" in drawn
