"""The layout that docs/architecture.md describes: floors, sizes of files and folders, docstrings."""

import ast
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import architecture

ROOT = Path(__file__).parents[1]
PACKAGES = ("foundation", "lightning_modules", "datamodules", "callbacks", "descent")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LINTER = Path(sys.executable).with_name("lint-imports")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    yield tmp_path
    shutil.rmtree(tmp_path)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINTER), "--config", "pyproject.toml", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("foundation/files.py", "from callbacks.checkpointing.seal import Seal"),
        ("datamodules/memory/order.py", "import lightning_modules.losses"),
        ("callbacks/preflight.py", "def later() -> None:\n    from descent.presets import names"),
        ("lightning_modules/base/task.py", "if TYPE_CHECKING:\n    import cli"),
        ("lightning_modules/optimizers/clipping.py", "from lightning_modules.base.task import Task"),
    ],
)
def test_an_import_that_runs_upwards_or_in_a_circle_is_found(copy: Path, file: str, line: str) -> None:
    with (copy / file).open("a") as source:
        source.write(f"\nfrom typing import TYPE_CHECKING\n{line}\n")
    found = lint(copy)
    assert found.returncode == 1, found.stdout
    assert "BROKEN" in found.stdout


def test_no_import_runs_upwards_or_in_a_circle(copy: Path) -> None:
    found = lint(copy)
    assert found.returncode == 0, found.stdout


def test_files_are_short_and_folders_hold_few() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {name: length for name, length in lengths.items() if length > 300}
    modules = [length for name, length in lengths.items() if not name.endswith("__init__.py")]
    assert 80 <= statistics.median(modules) <= 150
    folders = [path.parent for path in SOURCES if path.name != "__init__.py"]
    assert not {relative(folder): folders.count(folder) for folder in folders if folders.count(folder) > 15}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_module_says_what_it_is(path: Path) -> None:
    doc = ast.get_docstring(ast.parse(path.read_text()))
    assert doc
    assert doc.splitlines()[0].endswith((".", ":", "`"))


PACKAGE_FILES = [path for path in SOURCES if path.name == "__init__.py"]


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=relative)
def test_a_folder_says_what_to_open_first(path: Path) -> None:
    doc = ast.get_docstring(ast.parse(path.read_text())) or ""
    named = re.findall(r"`([\w/]+\.py)`", doc)
    assert "first" in doc
    assert named
    assert all((path.parent / name).exists() or (ROOT / name).exists() for name in named), named


def test_every_folder_is_a_package() -> None:
    assert not [relative(path.parent) for path in SOURCES if not (path.parent / "__init__.py").exists()]


def test_the_page_is_of_these_folders() -> None:
    assert architecture.PAGE.read_text() == architecture.page(), "run `python docs/architecture.py`"
    assert architecture.FIGURE.read_text() == architecture.figure(), "run `python docs/architecture.py`"


def test_the_page_names_what_exists() -> None:
    text = architecture.PAGE.read_text()
    text = text.replace(architecture.table(), "")
    for path in set(re.findall(r"`(\w+/[\w./]*|cli\.py)`", text)):
        assert (ROOT / path).exists(), path
    for path, names in re.findall(r"`([\w/]+\.py)` \(([^)]*)\)", text):
        defined = {
            target
            for node in ast.parse((ROOT / path).read_text()).body
            for target in (
                [node.name]
                if isinstance(node, (ast.FunctionDef, ast.ClassDef))
                else [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
            )
        }
        assert set(re.findall(r"`(\w+)`", names)) <= defined, path
