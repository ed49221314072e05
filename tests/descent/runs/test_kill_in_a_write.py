"""A kill during a write leaves the previous file, so that a run can always be resumed."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from descent.runs.loggers import RunCSVLogger
from foundation.files import replace_text, temporary_beside


class Killed(BaseException):
    """Stands for SIGKILL: no `except Exception` catches it."""


def ended_process() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    replace_text(path, "first: 1\n")
    write = Path.write_text

    def half(self: Path, text: str, **options: Any) -> int:
        write(self, text[: len(text) // 2], **options)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", half)
        with pytest.raises(Killed):
            replace_text(path, "second: 2\n")
    assert path.read_text() == "first: 1\n"
    left = temporary_beside(path)  # what a real kill leaves
    left.with_name(left.name.replace(f".{os.getpid()}.", f".{ended_process()}.")).write_text("sec")
    replace_text(path, "second: 2\n")
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]
    assert path.read_text() == "second: 2\n"


def test_rows_survive_a_new_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    logger = RunCSVLogger(folder)
    logger.log_metrics({"train/loss": 1.0}, 0)
    logger.save()
    logger.log_metrics({"train/other": 2.0}, 1)

    def killed(self: Any, rows: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(csv.DictWriter, "writerows", killed)
        with pytest.raises(Killed):
            logger.save()
    with (folder / "metrics.csv").open(newline="") as file:
        assert [row["train/loss"] for row in csv.DictReader(file)] == ["1.0"]
    again = RunCSVLogger(folder)
    again.log_metrics({"train/other": 2.0}, 1)
    again.save()
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["train/loss"], row["train/other"]) for row in rows] == [
        ("0", "1.0", ""),
        ("1", "", "2.0"),
    ]
