"""A fixture for every test, which fails the test that leaves a file in the repository's folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MADE_BY_TOOLS = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".coverage"}


def names() -> set[str]:
    return {entry.name for entry in ROOT.iterdir()}


_known = names() | MADE_BY_TOOLS


@pytest.fixture(autouse=True)
def the_folder_of_the_repository_is_left_as_it_was() -> Iterator[None]:
    """Compare with how the folder was when pytest began, so that fixtures of a module count too."""
    yield
    left = names() - _known
    _known.update(left)
    assert not left, f"the test leaves {sorted(left)} in {ROOT}"
