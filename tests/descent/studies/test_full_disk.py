"""A study whose disk is full: a one-line error, no finished run is lost, the same command continues."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

import cli
from descent import compare
from tests.descent.studies.toy import toy_study

ROOT = Path(__file__).parents[3]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("172k", "study.db does not work: database or disk is full. Check that it can"),
        ("500k", "No space left on device: the report in "),
    ],
)
def test_a_full_disk_ends_the_study_in_one_line_and_the_same_command_continues(
    room: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    with small_disk(tmp_path / "disk", room) as disk:
        study = toy_study(tmp_path, trials=12, seeds=8, stop_trials=False)  # a stopped trial has no score to count
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
        with pytest.raises(SystemExit) as ending:
            cli.main(["compare", "-c", str(tmp_path / "study.yaml"), "--out", str(disk / "out")])
        seen = capsys.readouterr()
        assert ending.value.code == 2
        assert line in seen.err
        assert "Traceback" not in seen.err
        before = seen.out.count("  val/margin ")
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        result = compare(study, out=disk / "out")
        assert result is not None
        again, runs = capsys.readouterr().out.count("  val/margin "), len(result.runs)
        assert 0 < before <= runs
        assert runs <= before + again <= runs + 1  # only the run whose outcome could not be stored is repeated
        assert (disk / "out" / "report.html").stat().st_size > 10_000
