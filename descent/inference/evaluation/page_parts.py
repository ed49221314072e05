"""Parts of the evaluation pages of all tasks: verdict, names, numbers, intervals."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from descent.inference.page_elements import percent
from foundation.html import section
from foundation.html.document import Section
from foundation.html.elements import escaped
from foundation.html.page_file import sections_of


def lead(verdict: str, remarks: Sequence[str]) -> str:
    """Return the HTML of the most important sentence, and of the remarks below it."""
    listed = "".join(f"<li>{escaped(text)}</li>" for text in remarks)
    return f'<p class="verdict" id="verdict">{escaped(verdict)}</p><ul class="remarks">{listed}</ul>'


def part(name: str, title: str, make: Callable[[], str]) -> list[Section]:
    """Make a section from the HTML that `make` returns; if that fails, it says why."""
    return sections_of(name, title, lambda: section(name, title, make()))


def run_name(checkpoint: str) -> str:
    """Return experiment and number of a run from its checkpoint's path, else the file's name.

    Example:
        >>> run_name("runs/quickstart/3/checkpoints/best.ckpt"), run_name("weights/best.ckpt")
        ('quickstart/3', 'best.ckpt')
    """
    parts = Path(checkpoint).parts
    return "/".join(parts[-4:-2]) if len(parts) > 3 and parts[-2] == "checkpoints" else parts[-1]


def page_title(checkpoint: str) -> str:
    """Return the title of a page."""
    return f"Evaluation of {run_name(checkpoint)}"


def number(value: float) -> str:
    """Format a number with four significant digits, as people write it; a dash for NaN.

    Example:
        >>> [number(value) for value in (53.2149, 0.00123456, 152133.0, -2.0, 1e-9, float("nan"))]
        ['53.21', '0.001235', '152,133', '−2', '1e-09', '–']
    """
    if math.isnan(value):
        return "–"
    text = f"{value:,.0f}" if 9999.5 <= abs(value) < 1e9 else f"{value:.4g}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def interval_text(interval: tuple[float, float]) -> str:
    """Format an interval; a dash where it is not defined."""
    return "–" if math.isnan(interval[0]) else f"{number(interval[0])} to {number(interval[1])}"


def with_interval(share: float, interval: tuple[float, float], name: str = "") -> str:
    """Format a share and its interval as percentages; without the interval where that is not defined.

    Example:
        >>> with_interval(0.5, (0.41, 0.59), "95% interval "), with_interval(1.0, (math.nan, math.nan))
        ('50.0% (95% interval 41.0% to 59.0%)', '100.0%')
    """
    low, high = map(percent, interval)
    return percent(share) + ("" if math.isnan(interval[0]) else f" ({name}{low} to {high})")


def first_of(names: Sequence[str], count: int = 5) -> str:
    """Join names; of many the first ones, and how many more there are.

    Example:
        >>> first_of(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more:,} more" if more > 0 else "")
