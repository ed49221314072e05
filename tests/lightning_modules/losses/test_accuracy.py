"""The deviations in docs/losses.md hold for each loss, and its guide is what the command prints."""

import pytest

from descent.commands.guide import GUIDE, markdown
from tests.lightning_modules.losses.accuracy import PAGE, between, deviation
from tests.lightning_modules.losses.cases import CASES

ROWS = [line.strip("| ").split(" | ") for line in between(PAGE.read_text(), "accuracy").splitlines()[2:]]


def test_the_table_has_every_case() -> None:
    assert [row[0] for row in ROWS] == list(CASES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_deviation(row: list[str]) -> None:
    value, gradient = deviation(row[0])
    assert value <= float(row[2]) <= 1e-6
    assert gradient <= float(row[3]) <= 1e-6


def test_the_guide_has_one_source() -> None:
    assert between(PAGE.read_text(), "guide") == markdown(GUIDE), "python -m tests.lightning_modules.losses.accuracy"
