"""The saved config: that of the run, runs again, and replaced only after a step."""

import shutil
from pathlib import Path

import pytest
import yaml

from callbacks import history
from callbacks.checkpointing.metadata import KEY
from callbacks.checkpointing.reading import read_checkpoint
from tests.descent.helpers import SHORT, run

CONFIG = Path("runs/quickstart/0/config.yaml")
LAST = Path("runs/quickstart/0/checkpoints/last.ckpt")


@pytest.fixture(scope="module")
def _whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run([*SHORT, f"--trainer.default_root_dir={folder}/runs"])
    return folder


@pytest.fixture(autouse=True)
def _copied(_whole: Path) -> None:
    shutil.copytree(_whole / "runs", "runs")
    config = CONFIG.read_text().replace(str(_whole / "runs"), "runs")
    CONFIG.write_text(config)


def test_a_config_saved_by_a_resume_runs_again_from_the_start() -> None:
    run(["fit", "--ckpt_path", "runs/quickstart/0", "--trainer.max_epochs=3"])
    text = CONFIG.read_text()
    assert f"# Resumed at step 6 from {LAST}" in text
    config = yaml.safe_load(text)
    assert config["ckpt_path"] is None
    assert config["trainer"]["max_epochs"] == 3
    assert read_checkpoint(LAST)[KEY]["config"] == text
    run(["fit", "--ckpt_path", "runs/quickstart/0", "--trainer.max_epochs=4"])
    assert CONFIG.read_text().count("# Resumed at step ") == 2
    again = run(["fit", "-c", str(CONFIG), "--trainer.max_epochs=1"])
    assert again.trainer.global_step == 3
    assert len(history(again.run.folder)) == 1


def test_a_config_of_an_earlier_version_that_names_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    CONFIG.write_text(CONFIG.read_text().replace("ckpt_path: null", f"ckpt_path: {LAST}"))
    again = run(["fit", "-c", str(CONFIG), "--trainer.max_epochs=1"])
    assert again.trainer.global_step == 3
    assert "--ckpt_path last resumes that run" in capsys.readouterr().err


def test_a_resume_without_a_step_leaves_the_config(capsys: pytest.CaptureFixture[str]) -> None:
    before = CONFIG.read_text()
    run(["fit", "--ckpt_path", "runs/quickstart/0", "--model.optimizer.lr=0.5"])  # it has trained its 2 epochs
    assert CONFIG.read_text() == before


def test_a_checkpoint_without_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(LAST, "alone.ckpt")
    shutil.move("runs", "gone")
    run(["test", "--ckpt_path", "alone.ckpt", "--trainer.logger=false"])
    assert "test/accuracy" in capsys.readouterr().out
    run(["predict", "--ckpt_path", "alone.ckpt", "--trainer.logger=false"])
    resumed = run(["fit", "--ckpt_path", "alone.ckpt", "--trainer.max_epochs=3", "--trainer.default_root_dir=runs"])
    assert resumed.trainer.global_step == 9
    assert resumed.run.folder == Path("runs/default/0")
    assert "# Resumed at step 6 from alone.ckpt" in (resumed.run.folder / "config.yaml").read_text()


def test_a_default_that_is_an_enumeration_is_saved_by_its_value() -> None:
    timed = ["--trainer.callbacks+=Timer", "--trainer.callbacks.duration=00:01:00:00", "--experiment=timed"]
    done = run([*SHORT, *timed])
    saved = yaml.safe_load((done.run.folder / "config.yaml").read_text())
    assert saved["trainer"]["callbacks"][0]["init_args"]["interval"] == "step"
    assert run(["fit", "-c", f"{done.run.folder}/config.yaml"]).trainer.global_step == 6
