"""The checks for a real GPU: refused in one line without one, and right on the phantom GPU."""

import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.__main__ import main, run
from benchmarks.gpu.checks import CHECKS

ON_THE_PHANTOM = (
    "augmentations",
    "optimizers",
    "losses float16",
    "losses bfloat16",
    "task regression",
    "waits quickstart",
    "checkpoint from GPU to CPU",
)
"""One check of each kind; `tests/phantom_gpu/on_device` trains with all tasks, precisions and callbacks."""


def test_without_a_gpu_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu"])
    assert main() == 2
    said = capsys.readouterr()
    assert said.err == "error: there is no NVIDIA GPU that torch can use (torch.cuda.is_available() is false).\n"
    assert not said.out


@pytest.mark.phantom_gpu(values=True)
@pytest.mark.parametrize("name", ON_THE_PHANTOM)
def test_a_check_on_the_phantom_gpu(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, verdict, found, _ = run(name, CHECKS[name])
    assert verdict == "right", found
    assert found


def test_a_check_that_fails_is_a_line_of_the_table() -> None:
    def wrong() -> str:
        raise AssertionError("weights differ")

    assert run("wrong", wrong)[:3] == ("wrong", "WRONG", "AssertionError: weights differ")
