"""Callbacks and commands with modules that others write: the outcomes that the documentation states.

Each style is put to some of the operations, so that each operation meets many styles; `python -m tests.anyone` runs the
whole product and writes the table.
"""

from pathlib import Path

import pytest

from tests.anyone.operations import OPERATIONS
from tests.anyone.styles import STYLES
from tests.anyone.table import outcome, read_table

pytestmark = pytest.mark.filterwarnings("ignore")
EACH = 2  # operations a style


def some() -> list[tuple[str, str]]:
    names, step = list(OPERATIONS), len(OPERATIONS) // EACH
    return [
        (style, names[(number + place * step) % len(names)])
        for number, style in enumerate(STYLES)
        for place in range(EACH)
    ]


@pytest.mark.parametrize(("style", "operation"), some())
def test_an_outcome_is_the_one_in_the_documentation(tmp_path: Path, style: str, operation: str) -> None:
    assert outcome(style, operation, tmp_path) == read_table()[style][operation]


def test_the_documentation_has_every_style_and_operation() -> None:
    table = read_table()
    assert list(table) == list(STYLES)
    assert all(list(row) == list(OPERATIONS) for row in table.values())


def test_every_operation_is_tried_on_several_styles() -> None:
    tried = [operation for _, operation in some()]
    assert min(tried.count(operation) for operation in OPERATIONS) >= 2 * len(STYLES) // len(OPERATIONS) - 1
