"""What docs/your_own_module.md shows is run as it stands (the commands with fewer steps)."""

import contextlib
import re
import shlex
import sys
from pathlib import Path

import pytest

from cli import main
from descent.commands import verify_resume
from tests.forked import Forked

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "your_own_module.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^    descent (.*)$", PAGE, re.MULTILINE)
SHORT = {
    "fit": ["--trainer.max_epochs=1", "--trainer.limit_train_batches=3", "--trainer.limit_val_batches=1"],
    "find-lr": ["--steps=20", "--high=1", "--repeats=1", "--data.batch_size=16"],
    "profile": ["--steps=3", "--tries=false"],
    "verify-resume": ["--trainer.max_epochs=2", "--trainer.limit_train_batches=3", "--trainer.limit_val_batches=1"],
}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)


def test_the_modules_run_in_python() -> None:
    found: dict[str, object] = {}
    exec("\n\n".join(BLOCKS[:2]), found)
    assert Path("gru/diagnostics.html").is_file()
    search = found["search"]
    assert 1e-6 < search.pick < 10  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.partition(" ")[0])
def test_a_command(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(verify_resume, "start", lambda words: Forked(["fit", *words]))
    Path("mine.py").write_text(f"{BLOCKS[0].partition('class ')[0]}\n\n{BLOCKS[2]}")
    words = shlex.split(command)
    with contextlib.suppress(SystemExit):  # of verify-resume, which says by its exit code what it found
        main([*words, *SHORT[words[0]], "--trainer.accelerator=cpu"])
    said = capsys.readouterr()
    assert "error" not in said.err
    assert words[0] != "verify-resume" or "the same, bit by bit." in said.out
