"""The checks for a real GPU: refused in one line without one, and right on the phantom GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import run
from benchmarks.gpu.checks import CHECKS

ROOT = Path(__file__).parents[2]


def test_without_a_gpu_it_says_so_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"],
        cwd=ROOT,
        env={"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == ("error: there is no NVIDIA GPU that torch can use (torch.cuda.is_available() is false).\n")


@pytest.mark.phantom_gpu(values=True)
@pytest.mark.parametrize("name", ["augmentations", "optimizers", "task regression"])
def test_a_check_on_the_phantom_gpu(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(name, CHECKS[name])[1:3] == ("right", CHECKS[name]())


def test_a_check_that_fails_is_a_line_of_the_table() -> None:
    def wrong() -> str:
        raise AssertionError("weights differ")

    assert run("wrong", wrong)[:3] == ("wrong", "WRONG", "AssertionError: weights differ")
