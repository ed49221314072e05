"""Ranges of numbers, and the error for a number outside one."""

import math

import pytest

from foundation.argument_checks import require_between, require_positive
from foundation.arguments import tables
from foundation.arguments.ranges import check_range, check_ranges, fits

TABLES = [value for name, value in vars(tables).items() if name.isupper() and isinstance(value, dict)]


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [
        ("≥ 0", [0, 0.5, 10**30], [-1, -1e-9]),
        ("> 0", [1e-300], [0, -1.0]),
        ("≤ 0", [0, -3], [0.1]),
        ("[0, 1)", [0, 0.99], [1, -0.1]),
        ("(0, 1]", [1, 0.1], [0, 1.1]),
        ("finite", [-5, 5.0], []),
        ("[0, 1] or whole ≥ 0", [0.5, 1.0, 0, 20], [1.5, 20.0, -1]),
    ],
)
def test_a_range_is_what_is_written(allowed: str, inside: list[float], outside: list[float]) -> None:
    assert all(fits(value, allowed) for value in inside)
    assert not any(fits(value, allowed) for value in (*outside, math.nan, math.inf, -math.inf))


def test_every_range_in_a_table_can_be_read() -> None:
    def texts(table: dict[str, object]) -> list[str]:
        return [t for v in table.values() for t in (texts(v) if isinstance(v, dict) else [str(v)])]

    for allowed in {text for table in TABLES for text in texts(table)}:
        assert not fits(math.nan, allowed)
        assert any(fits(value, allowed) for value in (0.5, -1.0, 1, 20))


def test_the_message_has_key_range_and_value() -> None:
    for value, allowed, message in (
        (-1.0, "≥ 0", "a.b must be ≥ 0, got -1.0."),
        (math.inf, "≥ 0", "a.b must be finite and ≥ 0, got inf."),
        (1.5, "[0, 1] or whole ≥ 0", "a.b must be in [0, 1], or a whole number ≥ 0, got 1.5."),
        ([0.9, 2], "[0, 1)", "a.b must be in [0, 1), got [0.9, 2]."),
    ):
        with pytest.raises(Exception, match=r"a\.b must") as caught:
            check_range("a.b", value, allowed)
        assert str(caught.value) == message


def test_other_values_pass_and_unknown_classes_may_use_infinity() -> None:
    check_range("a.b", "auto", "≥ 0")
    check_range("a.b", [None, 0.1], "≥ 0")
    check_range("a.b", True, "≥ 5")
    check_ranges("a.", {"theirs": math.inf}, {}, known_class=False)
    for value, known in ((math.inf, True), (math.nan, False)):
        with pytest.raises(Exception, match=r"a\.theirs must be finite, got"):
            check_ranges("a.", {"theirs": value}, {}, known_class=known)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_constructors_take_finite_numbers(value: float) -> None:
    for check in (lambda: require_between("x", value, -1), lambda: require_positive("x", value)):
        with pytest.raises(ValueError, match="x must be"):
            check()
