"""Tests leave nothing in the repository's folder: the check sees a file that a run writes there."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEST = "def test_it():\n    open({path!r}, 'w').close()\n"


def test_a_file_in_the_repository_fails_the_test_that_leaves_it(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "tests").mkdir(parents=True)
    for name in ("tests/left_files.py", "tests/__init__.py"):
        (checkout / name).write_text((ROOT / name).read_text())
    (checkout / "tests" / "conftest.py").write_text("from tests.left_files import *\n")
    for name, path in (("leaves", checkout / "clipping.txt"), ("cleans", tmp_path / "clipping.txt")):
        (checkout / "tests" / f"test_{name}.py").write_text(TEST.format(path=str(path)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert "the test leaves ['clipping.txt'] in " in done.stdout
    assert "2 passed, 1 error" in done.stdout
