"""Runs that share a folder, and checkpoint callbacks that share a trainer, replace none of each other's files."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import CSVLogger

from callbacks import DurableCheckpoint
from callbacks.checkpointing.folder import CheckpointFolder
from foundation.errors import UserError
from tests.callbacks.checkpointing.test_checkpoint import Line, fit, load, loader

pytestmark = pytest.mark.filterwarnings("error:The checkpoint has scores of files")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.mark.parametrize("dirpath", [None, "elsewhere"])
def test_runs_that_share_a_folder_keep_their_files(
    tmp_path: Path, dirpath: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    configured = None if dirpath is None else tmp_path / dirpath
    folder = configured or tmp_path / "checkpoints"
    fit(tmp_path, DurableCheckpoint(dirpath=configured), max_epochs=1)
    first = bytes_of(folder)
    trainer = fit(tmp_path, DurableCheckpoint(dirpath=configured), max_epochs=2)
    fit(tmp_path, DurableCheckpoint(dirpath=configured), max_epochs=1)
    assert bytes_of(folder) == first
    assert load(folder / "1" / "last.ckpt")["global_step"] == 8
    assert load(folder / "2" / "last.ckpt")["global_step"] == 4
    assert trainer.checkpoint_callback.best_model_path == str(folder / "1" / "best.ckpt")  # type: ignore[union-attr]
    assert (
        f"{folder} holds the checkpoints of another run; this one saves in {folder / '1'}." in capsys.readouterr().err
    )


def test_a_run_goes_on_in_its_own_folder(tmp_path: Path) -> None:
    fit(tmp_path, DurableCheckpoint(), max_epochs=1)
    trainer = fit(tmp_path, DurableCheckpoint(), max_epochs=1)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(Line(), loader(), loader())  # the same trainer
    first, second = tmp_path / "checkpoints", tmp_path / "checkpoints" / "1"
    assert load(second / "last.ckpt")["global_step"] == 8
    options: dict[str, Any] = {"max_epochs": 3, "logger": False, "num_sanity_val_steps": 0, "accelerator": "cpu"}
    resumed = Trainer(default_root_dir=tmp_path, callbacks=[DurableCheckpoint()], enable_progress_bar=False, **options)
    resumed.fit(Line(), loader(), loader(), ckpt_path="last")  # the newest of all
    assert load(second / "last.ckpt")["global_step"] == 12
    assert load(first / "last.ckpt")["global_step"] == 4
    assert not (first / "2").exists()


def test_two_callbacks_of_a_trainer_have_two_folders(tmp_path: Path) -> None:
    def callbacks() -> list[Callback]:
        return [DurableCheckpoint(), DurableCheckpoint(monitor="train/loss")]

    for epochs, path in ((1, None), (2, tmp_path / "checkpoints" / "last.ckpt"), (3, "last")):
        trainer = Trainer(
            default_root_dir=tmp_path, logger=False, accelerator="cpu", num_sanity_val_steps=0, max_epochs=epochs,
            callbacks=callbacks(), enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(Line(), loader(), loader(), ckpt_path=path)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("best.ckpt"))
    assert found == ["checkpoints/best.ckpt", "checkpoints/train_loss/best.ckpt"]
    for folder in (tmp_path / "checkpoints", tmp_path / "checkpoints" / "train_loss"):
        assert load(folder / "last.ckpt")["global_step"] == 12


def test_files_of_other_programs_take_no_folder(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "epoch=3.ckpt").write_text("of another program")
    fit(tmp_path, DurableCheckpoint(), max_epochs=1)
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()


TAKE = """
import sys, time
from pathlib import Path
from callbacks.checkpointing.folder import CheckpointFolder
class Trainer: ckpt_path = None
trainer = Trainer()
print(CheckpointFolder(Path(sys.argv[1])).take(trainer), flush=True)
sys.stdin.read()
"""


def test_runs_that_save_first_at_the_same_time_take_different_folders(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKE, str(tmp_path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    try:
        taken = sorted(process.stdout.readline().strip() for process in processes if process.stdout)
    finally:
        for process in processes:
            process.communicate("")
    assert taken == [str(tmp_path), str(tmp_path / "1")]


def test_a_home_folder_is_expanded_and_a_url_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert DurableCheckpoint(dirpath="~/kept").configured_dirpath == tmp_path / "kept"
    for url in ("memory://kept", "s3://bucket/kept"):
        with pytest.raises(ValueError, match=f"dirpath must be a folder of this machine, got {url}"):
            DurableCheckpoint(dirpath=url)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="the run's files would lie in memory://logs"):
        fit(tmp_path, DurableCheckpoint(), logger=CSVLogger("memory://logs"))
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_chosen_by_a_place_alone(tmp_path: Path) -> None:
    place = CheckpointFolder(tmp_path)
    (tmp_path / "best.ckpt").touch()
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "epoch001-step000010.ckpt").touch()
    assert place.choose(Trainer(logger=False, accelerator="cpu")) == tmp_path / "2"
