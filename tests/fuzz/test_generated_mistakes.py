"""A sample of generated mistakes, each in a process of its own: exit code 2, one line, the key, right advice, no files."""

import itertools

import pytest

from descent.training.build import config_parser
from tests.fuzz.cases import Case, cases
from tests.fuzz.judge import faults, run


@pytest.mark.parametrize("seed", range(4))
def test_generated_mistakes(seed: int) -> None:
    # Values that only fail when they are first used are left to `python -m tests.fuzz`.
    config_parser("fit")  # once, before the processes are forked
    wrong = []
    for case in itertools.islice(cases(1000 + seed, ("misspelt", "class", "file")), 10):
        code, said, left = run(case)
        if found := faults(case, code, said, left):
            wrong.append(f"{' '.join(case.words)} {case.file!r}: {'; '.join(found)}\n{said[-500:]}")
    assert not wrong, "\n".join(wrong)


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
