"""Modules that every command imports load neither torch nor Lightning, so that `descent --help` answers at once."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "lightning", "numpy", "matplotlib", "jsonargparse", "optuna", "pandas", "PIL")
NAMES = [path.stem for path in sorted((ROOT / "foundation").glob("*.py")) if path.stem != "__init__"]
MAY_LOAD = {"random_streams": {"torch", "numpy"}}
"""Modules whose subject is torch or Lightning itself."""
LIGHT = [f"foundation.{name}" for name in NAMES if name not in MAY_LOAD] + [
    "foundation.html",
    "foundation.compat",
    "foundation.compat.argument_parsers",
    "foundation.compat.lightning_messages",
    "foundation.compat.torchvision",
]


def loaded_by(names: list[str]) -> set[str]:
    """Heavy packages that a fresh interpreter has loaded after it has imported the modules."""
    code = f"import sys, {', '.join(names)}; print(*[name for name in {HEAVY} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())


def test_the_foundation_loads_nothing_heavy() -> None:
    assert loaded_by(LIGHT) == set()


def test_a_heavy_import_is_seen() -> None:
    assert {"torch", "numpy"} <= loaded_by(["foundation.compat.torch"])


@pytest.mark.parametrize("name", list(MAY_LOAD))
def test_random_streams_do_without_lightning(name: str) -> None:
    assert loaded_by([f"foundation.{name}"]) <= MAY_LOAD[name]
