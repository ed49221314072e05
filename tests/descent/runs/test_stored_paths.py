"""The saved config of a run names its data so that it works from any folder."""

from pathlib import Path

import pytest
import yaml
from jsonargparse import Namespace
from PIL import Image

from descent.runs.lookup import resolve_data_folders
from descent.runs.resumed_config import changes
from tests.descent.helpers import refused, run

QUICK = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.accelerator=cpu"]


def with_data(**arguments: object) -> Namespace:
    return Namespace(data=Namespace(class_path="mine.Data", init_args=Namespace(**arguments)))


def test_what_counts_as_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    config = with_data(
        root="later", data_dir="here", file="nowhere", mode="here", path="s3://here", size=3, folder=None
    )
    resolve_data_folders(config)
    arguments = vars(config.data.init_args)
    assert arguments["root"] == str(tmp_path / "later")
    assert arguments["data_dir"] == str(tmp_path / "here")
    assert {name: arguments[name] for name in ("file", "mode", "path", "size", "folder")} == {
        "file": "nowhere", "mode": "here", "path": "s3://here", "size": 3, "folder": None,
    }  # fmt: skip


def test_a_path_that_was_saved_relative_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old, new = (yaml.safe_dump({"data": {"init_args": {"root": root}}}) for root in ("here", str(tmp_path / "here")))
    assert changes({"descent": {"config": old}}, new, Path("last.ckpt")) == []
    assert changes({"descent": {"config": old}}, new.replace("here", "there"), Path("last.ckpt"))


def test_a_run_is_tested_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for split in ("train", "test"):
        for number, name in enumerate(("cat", "dog")):
            (project / "images" / split / name).mkdir(parents=True)
            for image in range(8):
                Image.new("RGB", (8, 8), (90 * number, 9 * image, 0)).save(
                    project / f"images/{split}/{name}/{image}.png"
                )
    elsewhere.mkdir()
    monkeypatch.chdir(project)
    data = ["--data=data/image_folder.yaml", "--data.root=images", "--data.batch_size=4", "--data.image_size=8"]
    run(["fit", "-c", "configs/quickstart.yaml", *data, *QUICK, "--data.augmentation=null"])
    monkeypatch.chdir(elsewhere)
    run(["test", "--ckpt_path", "../project/runs/quickstart/0"])
    (project / "images").rename(project / "photos")
    said = refused(["test", "--ckpt_path", "../project/runs/quickstart/0"], capsys)
    assert "images does not exist" in said or "there is no" in said
    assert "--data.root" in said or "did you mean" in said
