"""Deviation of each loss from its reference: value and gradient, for random, extreme and degenerate inputs.

python -m tests.lightning_modules.losses.accuracy   rewrites the tables of docs/losses.md.
"""

import math
import re
from pathlib import Path
from typing import NamedTuple

import torch

from descent.commands.guide import GUIDE, markdown
from tests.lightning_modules.losses.cases import CASES, build, inputs
from tests.lightning_modules.losses.reference import value_and_gradient

PAGE = Path(__file__).parents[3] / "docs" / "losses.md"


class Deviation(NamedTuple):
    """Deviation of the value, relative if it is above 1, and of the gradient, relative to its largest entry or 1 / size."""

    value: float
    gradient: float


def deviation(name: str) -> Deviation:
    """Return the largest deviations of a case in float32."""
    case, loss = CASES[name], build(name)
    worst = Deviation(0.0, 0.0)
    for output, target in inputs(case).values():
        expected, slope = value_and_gradient(case.reference, output, target)
        prediction = output.clone().requires_grad_()
        value = loss(prediction, target)
        (gradient,) = torch.autograd.grad(value, prediction)
        scale = max(slope.abs().max().item(), 1 / output.numel())
        worst = Deviation(
            _max(worst.value, abs(value.item() - expected) / max(1.0, abs(expected))),
            _max(worst.gradient, (gradient.double() - slope).abs().max().item() / scale),
        )
    return worst


def _max(left: float, right: float) -> float:
    return right if right > left or right != right else left  # NaN wins


def bound(measured: float) -> float:
    """Round twice the deviation up to 1, 2 or 5 · 10ⁿ, because another machine may round differently."""
    floor = max(2 * measured, 1e-7)
    power = 10.0 ** math.floor(math.log10(floor))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= floor * (1 - 1e-9))


def table() -> str:
    """Return a row per case with its bounds."""
    rows = ["| loss | inputs | value | gradient |", "| --- | --- | --- | --- |"]
    for name, case in CASES.items():
        value, gradient = deviation(name)
        rows.append(f"| {name} | {', '.join(inputs(case))} | {bound(value):.0e} | {bound(gradient):.0e} |")
    return "\n".join(rows) + "\n"


def between(page: str, part: str) -> str:
    """Return the text between the markers of a part."""
    found = re.search(rf"<!-- {part}: begin -->\n\n(.*?)\n<!-- {part}: end -->", page, re.DOTALL)
    assert found, part
    return found[1]


if __name__ == "__main__":
    page = PAGE.read_text()
    for part, text in {"guide": markdown(GUIDE), "accuracy": table()}.items():
        begin, end = f"<!-- {part}: begin -->\n\n", f"\n<!-- {part}: end -->"
        page = page.replace(f"{begin}{between(page, part)}{end}", f"{begin}{text}{end}")
    PAGE.write_text(page)
