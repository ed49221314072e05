"""A run, a checkpoint and a study of an earlier version still load, resume, evaluate and continue; see tests/earlier/README.md."""

import gzip
import json
import shutil
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import cli
from descent import compare

EARLIER = Path(__file__).parent / "earlier"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "earlier" / "0"
    shutil.copytree(EARLIER / "run", folder)
    return folder


def checkpoint(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return read


@pytest.fixture
def folder_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run on `images`, which have been moved since."""
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(EARLIER / "folder.zip") as files:
        files.extractall(tmp_path)
    shutil.copytree("run", tmp_path / "runs" / "earlier" / "0")
    return tmp_path / "runs" / "earlier" / "0"


def test_a_stopped_run_ends_as_it_would_have_without_the_stop(run: Path) -> None:
    cli.main(["fit", "--ckpt_path", str(run)])
    assert_same_end(run, EARLIER)


def assert_same_end(run: Path, finished: Path) -> None:
    """Compare the end of a resumed run with `finished.ckpt` and `finished.csv`."""
    now, then = checkpoint(run / "checkpoints" / "last.ckpt"), checkpoint(finished / "finished.ckpt")
    assert (now["epoch"], now["global_step"], now["steps_taken"]) == (
        then["epoch"], then["global_step"], then["steps_taken"],
    )  # fmt: skip
    assert now["lr_schedulers"] == then["lr_schedulers"]
    assert now["state_dict"].keys() == then["state_dict"].keys()
    # Another processor sums in another order; on the kind that made them they are the same bit by bit.
    exact = _has_amx()
    for kind in ("state_dict", "current_model_state"):
        for name, tensor in then[kind].items():
            if exact:
                assert torch.equal(now[kind][name], tensor), name
            else:
                torch.testing.assert_close(now[kind][name], tensor, rtol=1e-3, atol=1e-4)
    rows, expected = pd.read_csv(run / "metrics.csv"), pd.read_csv(finished / "finished.csv")
    assert list(rows) == list(expected)
    pd.testing.assert_frame_equal(rows, expected, rtol=0 if exact else 1e-2, atol=0 if exact else 1e-3)


def _has_amx() -> bool:
    info = Path("/proc/cpuinfo")
    return info.exists() and "amx_bf16" in info.read_text()


def test_its_checkpoint_is_inspected_and_tested(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["inspect", str(run / "checkpoints" / "best.ckpt")])
    said = capsys.readouterr().out
    assert "epoch" in said
    assert "network.head.bias" in said
    cli.main(["test", "--ckpt_path", str(run), "--trainer.logger=false"])
    assert "test/accuracy" in capsys.readouterr().out


def test_a_checkpoint_is_evaluated(run: Path) -> None:
    cli.main(["evaluate", "--ckpt_path", str(run), "--out", "page"])
    found = json.loads(Path("page/evaluation.json").read_text())
    assert (found["right"], found["samples"]) == (17, 359)
    assert Path("page/evaluation.html").exists()


def test_a_stopped_run_on_a_folder_ends_as_it_would_have(folder_run: Path, tmp_path: Path) -> None:
    """It has a frozen body until its third epoch, random photo augmentations, and a split by the images' content."""
    cli.main(["fit", "--ckpt_path", str(folder_run), "--data.root", "images"])
    assert_same_end(folder_run, tmp_path)


def test_a_checkpoint_of_a_run_on_a_folder_is_used(folder_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = str(folder_run / "checkpoints" / "last.ckpt")
    cli.main(["test", "--ckpt_path", last, "--data.root", "images", "--trainer.logger=false"])
    said = capsys.readouterr().out
    assert "test/accuracy" in said
    cli.main(["evaluate", "--ckpt_path", last, "--data.root", "images", "--out", "page"])
    found = json.loads(Path("page/evaluation.json").read_text())
    assert found["samples"] == 15
    assert found["right"] == 4 or not _has_amx()
    cli.main(["predict", "--ckpt_path", last, "--images", "images/dots", "--out", "predictions"])
    assert len(pd.read_csv("predictions/predictions.csv")) == 18
    assert len(pd.read_csv("predictions/corrupt.csv")) == 1


def test_its_config_runs_again(run: Path) -> None:
    command = cli.main(["fit", "-c", str(run / "config.yaml"), "--trainer.max_epochs", "1", "--experiment", "again"])
    assert command.trainer.global_step == 4


def test_a_study_continues_and_repeats_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.db").write_bytes(gzip.decompress((EARLIER / "study" / "study.db.gz").read_bytes()))
    with sqlite3.connect(tmp_path / "study.db") as database:  # as if the last two runs had not been made
        last = "SELECT trial_id FROM trials WHERE state = 'COMPLETE' ORDER BY trial_id DESC LIMIT 2"
        database.execute(f"DELETE FROM trials WHERE trial_id IN ({last})")
    result = compare(EARLIER / "study" / "study.yaml", out=tmp_path)
    assert result is not None
    trained = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert len(trained) == 2
    columns = ["stage", "candidate", "index", "seed", "model.optimizer.lr", "status", "val/accuracy", "weights"]
    before = pd.read_csv(EARLIER / "study" / "runs.csv")[columns]
    kept = result.runs[columns].merge(before, on=["stage", "candidate", "index"], suffixes=("", "_before"))
    assert len(kept) == len(before)
    for column in columns[3:]:
        pd.testing.assert_series_equal(kept[column], kept[f"{column}_before"], check_names=False, rtol=1e-5)
