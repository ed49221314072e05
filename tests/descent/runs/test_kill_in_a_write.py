"""A kill during a write leaves the previous file, so that a run can always be resumed."""

import csv
from pathlib import Path
from typing import Any

import pytest

from descent.runs.loggers import RunCSVLogger
from foundation.files import save_whole


class Killed(BaseException):
    """Stands for SIGKILL: no `except Exception` catches it."""


def test_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    save_whole(path, "first: 1\n")
    write = Path.write_text

    def half(self: Path, text: str, **options: Any) -> int:
        write(self, text[: len(text) // 2], **options)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", half)
        with pytest.raises(Killed):
            save_whole(path, "second: 2\n")
    assert path.read_text() == "first: 1\n"
    (tmp_path / "config.yaml.0123abcd.part").write_text("sec")  # what a real kill leaves
    save_whole(path, "second: 2\n")
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
