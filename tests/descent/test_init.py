"""The functions that `from descent import …` offers, each imported when it is first used."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import descent

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("compare", "descent.studies.comparison"),
        ("find_lr", "callbacks"),
        ("history", "callbacks"),
        ("plot_history", "callbacks"),
        ("tune_allocator", "descent.allocator"),
    ],
)
def test_each_function_is_that_of_its_module(name: str, module: str) -> None:
    assert name in descent.__all__
    assert getattr(descent, name) is getattr(importlib.import_module(module), name)


def test_every_offered_name_exists() -> None:
    assert all(callable(getattr(descent, name)) for name in descent.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'descent' has no attribute 'comparison'"):
        descent.comparison  # noqa: B018 - the access itself raises


def test_importing_descent_loads_neither_torch_nor_lightning(tmp_path: Path) -> None:
    code = "import sys, descent; from descent import tune_allocator; print({'torch', 'lightning'} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
