"""A sample of generated mistakes, each in a process of its own: exit code 2, one line, the key, right advice, no files."""

import itertools
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.fuzz.__main__ import judged
from tests.fuzz.case import Case
from tests.fuzz.cases import MAKERS, cases
from tests.fuzz.judge import faults
from tests.fuzz.warm import warmed


@pytest.fixture(scope="module", autouse=True)
def _parsers_are_built_once() -> Iterator[None]:
    with warmed():
        yield


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("misspelt", 85),
        ("value", 60),
        ("class", 50),
        ("file", 40),
        ("dropped", 10),
        ("doubled", 20),
        ("other", 10),
        ("option", 20),
        ("study", 5),
    ],
)
def test_generated_mistakes(kind: str, count: int) -> None:
    wrong = [judged(case, Counter()) for case in itertools.islice(cases(1000, (kind,)), count)]
    assert not any(wrong), "\n".join(filter(None, wrong))


def test_every_kind_is_tried() -> None:
    assert {case.kind for case in itertools.islice(cases(0), 100)} == set(MAKERS)


def test_the_judge_finds_faults() -> None:
    case = Case(("fit", "--model.optimizer.lrr=1"), "misspelt", "model.optimizer.lrr", "model.optimizer.lr")
    right = "error: unknown argument --model.optimizer.lrr. Did you mean --model.optimizer.lr?"
    assert faults(case, 2, right, []) == []
    assert faults(case, 2, right, ["runs"]) == ["leaves ['runs']"]
    assert faults(case, 2, right.replace("optimizer.lr?", "optimizer.eps?"), [])
    assert faults(case, 2, "error: something is wrong", []) == ["does not name model.optimizer.lrr", "suggests nothing"]
    assert faults(case, 0, "", []) == ["accepted"]
    assert faults(case, 1, "Traceback …", [])
    assert faults(case, 2, right + "\n".join("abcde"), []) == ["says 5 lines, 90 characters"]
