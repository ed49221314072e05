"""`descent verify-resume` on a setup that resumes exactly, and on one that does not."""

import json
from pathlib import Path

import pytest

import cli
from descent.commands import verify_resume
from descent.commands.verify_resume import SHORT, kill_within_epoch, parse, possible_causes
from tests.forked import Forked

SMALL = ["-c", "configs/quickstart.yaml", "--model.network.width", "4", "--trainer.accelerator", "cpu"]
FORGETFUL = '''
from datamodules import DigitsDataModule


class Forgetful(DigitsDataModule):
    """Saves no position in the epoch."""

    def load_state_dict(self, state_dict):
        pass

    def state_dict(self):
        return {}
'''


def test_an_exact_resume(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(verify_resume, "start", lambda words: Forked(["fit", *words]))
    with pytest.raises(SystemExit) as caught:
        cli.main(["verify-resume", *SMALL])
    said = capsys.readouterr().out
    assert caught.value.code == 0, said
    assert said.endswith("the same, bit by bit.\n")
    for area in ("weights", "optimizer", "schedule", "progress", "data (DigitsDataModule)", "logged values"):
        assert f"  {area:<24} the same" in said


def test_a_data_module_without_state_is_named() -> None:
    causes = possible_causes({"state_dict": {}, "Forgetful": {}}, Path("nowhere"))
    assert causes == ["the data module saves no position in the epoch (state_dict, load_state_dict)"]


def test_an_inexact_resume_is_detected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A difference without a known cause counts too."""
    monkeypatch.setattr(verify_resume, "start", lambda words: Forked(["fit", *words]))
    kills: list[Path] = []

    def late_at_first(run: Forked, folder: Path) -> str:  # as on a busy machine: after the last epoch
        kills.append(folder)
        return run.communicate()[1] if len(kills) == 1 else kill_within_epoch(run, folder)  # type: ignore[arg-type]

    monkeypatch.setattr(verify_resume, "kill_within_epoch", late_at_first)
    (tmp_path / "mine.py").write_text(FORGETFUL)
    monkeypatch.setattr(verify_resume, "possible_causes", lambda *_: [])
    with pytest.raises(SystemExit) as caught:
        cli.main(["verify-resume", "--json", *SMALL, "--data", "mine.Forgetful"])
    found = json.loads(capsys.readouterr().out)
    assert (caught.value.code, found["same"], found["in_the_way"]) == (1, False, [])
    assert len(kills) > 1
    assert 0 < found["killed_after"] < found["steps"]
    assert found["differences"]["weights"]


def test_a_failing_run_gives_a_one_line_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The one whose run is a fresh process."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["verify-resume", *SMALL, "--trainer.max_epoch", "3"])
    assert caught.value.code == 2
    assert "error: the run failed: unknown argument --trainer.max_epoch" in capsys.readouterr().err


def test_the_users_arguments_come_last() -> None:
    _, words = parse(["-c", "a.yaml", "--trainer.max_epochs", "5", "--config=b.yaml"])
    assert words == ["--config=a.yaml", "--config=b.yaml", *SHORT, "--trainer.max_epochs", "5"]


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify-resume"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: descent verify-resume -c CONFIG")
