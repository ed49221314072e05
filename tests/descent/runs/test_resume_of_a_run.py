"""`descent fit` as a process: signals, resuming with `--ckpt_path last`, skipping a damaged checkpoint.

Ctrl+C goes to a command as a user starts it; the other processes are forks of the test.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lightning.pytorch import Trainer

import cli
from callbacks import DurableCheckpoint
from callbacks.checkpointing.difference import differences, meaningful
from callbacks.checkpointing.reading import read_checkpoint
from descent.commands.verify_resume import differing_rows
from tests.forked import Forked, free_port, ranks

ROOT = Path(__file__).parents[3]
SMALL = ["--data", "data/digits.yaml", "--data.batch_size", "64", "--model.network", "networks/small_cnn.yaml"]
SMALL += ["--model.network.width", "4", "--model.optimizer", "optimizers/sgd_momentum.yaml"]
SMALL += ["--trainer.max_epochs", "4", "--trainer.accelerator", "cpu", "--checkpoint.every_n_train_steps", "3"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run without interruption."""
    root = tmp_path_factory.mktemp("whole")
    cli.main(["fit", *SMALL, "--trainer.default_root_dir", str(root), "--experiment", "e"])
    return root / "e" / "0"


def words_in(root: Path) -> list[str]:
    return ["fit", *SMALL, "--trainer.default_root_dir", str(root), "--experiment", "e"]


def ended_by(number: signal.Signals, process: "Forked | subprocess.Popen[str]", root: Path) -> tuple[int | None, str]:
    """Return the exit code and the errors of a run that gets a signal after its first epoch."""
    while process.poll() is None and not (root / "e/0/checkpoints/best.ckpt").exists():
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run that gets SIGTERM."""
    root = tmp_path_factory.mktemp("stopped")
    code, errors = ended_by(signal.SIGTERM, Forked(words_in(root)), root)
    assert code == 143, errors
    assert "SIGTERM: saving after this step" in errors
    assert "Traceback" not in errors
    return root / "e" / "0"


@pytest.fixture
def run(tmp_path: Path, stopped: Path) -> Path:
    """Copy the stopped run, for a test that changes it."""
    return Path(shutil.copytree(stopped, tmp_path / "e" / "0"))


def resume(run: Path) -> None:
    cli.main(["fit", "-c", str(run / "config.yaml"), "--ckpt_path", "last"])


def same(run: Path, whole: Path) -> bool:
    last = "checkpoints/last.ckpt"
    return not meaningful(differences(read_checkpoint(whole / last), read_checkpoint(run / last)))


def test_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "cli.py"), *words_in(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    code, errors = ended_by(signal.SIGINT, process, tmp_path)
    assert code == 130, errors
    assert "Traceback" not in errors


def test_last_resumes_with_identical_results(run: Path, whole: Path) -> None:
    stopped_at = read_checkpoint(run / "checkpoints/last.ckpt")["global_step"]
    resume(run)
    assert stopped_at < read_checkpoint(run / "checkpoints/last.ckpt")["global_step"]
    assert same(run, whole)
    assert [path.name for path in run.parent.iterdir()] == ["0"]


@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_a_damaged_checkpoint_is_skipped(run: Path, whole: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    last = run / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.unlink()
    if how != "gone":
        last.write_bytes(content[: len(content) // 2] if how == "cut" else content)
    resume(run)
    reason = {"cut": "cut short", "flipped": "does not match the hash", "gone": "is missing"}[how]
    said = capsys.readouterr().err
    assert reason in said
    assert "Using previous.ckpt" in said or "Using best.ckpt" in said
    assert same(run, whole)


def test_no_undamaged_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(SystemExit) as caught:
        resume(run)
    assert caught.value.code == 2
    assert "is damaged: it is empty. There is no valid checkpoint beside it" in capsys.readouterr().err


def test_logs_continue_without_gap_or_repetition(run: Path, whole: Path) -> None:
    with (run / "metrics.csv").open("r+") as file:
        names = file.readline().strip().split(",")
        file.seek(0, os.SEEK_END)
        file.write(",".join("5000" if name == "step" else "" for name in names) + "\n3,0.")  # cut short by a crash
    resume(run)
    assert (run / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()


def test_two_processes(tmp_path: Path) -> None:
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--data.batch_size", "32"]
    run, whole = tmp_path / "stopped/e/0", tmp_path / "whole/e/0"
    first, second = ranks([*words_in(tmp_path / "stopped"), *two], free_port())
    code, errors = ended_by(signal.SIGTERM, first, tmp_path / "stopped")
    assert code == 143, errors
    _, errors = second.communicate()
    assert second.returncode == 143, errors
    for words in (["fit", "--ckpt_path", str(run)], [*words_in(tmp_path / "whole"), *two]):
        for process in ranks(words, free_port()):
            _, errors = process.communicate()
            assert process.returncode == 0, errors
    assert same(run, whole)
    assert (run / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()


def test_the_same_command_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", *SMALL, "--trainer.default_root_dir", str(tmp_path), "--experiment", "job", "--ckpt_path", "last"]
    cli.main([*words, "--trainer.max_epochs", "1"])
    assert "no checkpoint to resume from, so this run starts at step 0" in capsys.readouterr().err
    cli.main([*words, "--trainer.max_epochs", "2"])
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["0"]
    assert read_checkpoint(tmp_path / "job/0/checkpoints/last.ckpt")["epoch"] == 1


@pytest.mark.parametrize("step", [6, 9])
def test_a_row_that_was_not_written_after_a_save(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning writes a step's row after the save of that step: dying in between must not lose it."""
    words = [*SMALL, "--trainer.log_every_n_steps", "3", "--trainer.max_epochs", "1", "--experiment", "e"]
    cli.main(["fit", *words, "--trainer.default_root_dir", str(tmp_path / "whole")])

    class DiedError(Exception):
        pass

    save = DurableCheckpoint.save

    def save_and_die(self: DurableCheckpoint, trainer: Trainer) -> None:
        save(self, trainer)
        if trainer.global_step == step:
            raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr(DurableCheckpoint, "save", save_and_die)
        with pytest.raises(DiedError):
            cli.main(["fit", *words, "--trainer.default_root_dir", str(tmp_path / "cut")])
    cut = tmp_path / "cut" / "e" / "0"
    assert f",{step - 1}," not in (cut / "metrics.csv").read_text(), "the row was written: nothing is tested"
    cli.main(["fit", "--ckpt_path", str(cut)])
    whole = tmp_path / "whole" / "e" / "0"
    assert differing_rows(whole / "metrics.csv", cut / "metrics.csv") == []
    assert len((cut / "metrics.csv").read_text().splitlines()) == len((whole / "metrics.csv").read_text().splitlines())
