"""Everything that a run leaves lies in its own folder, whatever loggers there are, and nothing of the user's changes."""

import re
from pathlib import Path

import pytest
import yaml
from lightning.pytorch import loggers

from tests.descent.helpers import SHORT, refused, run

ONE = [*SHORT, "--trainer.max_epochs=1", "--trainer.callbacks=callbacks/gradient_norm.yaml"]
OWN = {"config.yaml", "metrics.csv", "checkpoints", "clipping.txt", "figures"}
SERVICE = {"class_path": "tests.foundation.test_loggers.ServiceLogger"}
CSV = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "mine"}}


@pytest.fixture(autouse=True)
def _files_of_the_user(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "mine", tmp_path / "checkpoints"):
        folder.mkdir(exist_ok=True)
        for name in ("config.yaml", "metrics.csv", "best.ckpt", "last.ckpt", "clipping.txt"):
            (folder / name).write_text("of the user")


def changed(folder: Path) -> list[str]:
    """List the files of the user that are not as they were."""
    files = [file for sub in (".", "mine", "checkpoints") for file in (folder / sub).iterdir() if file.is_file()]
    return [str(file) for file in files if file.read_text() != "of the user"]


@pytest.mark.parametrize(
    ("logger", "kept"),
    [
        (SERVICE, OWN),
        ([CSV, SERVICE], OWN),
        (True, OWN),
        (False, OWN - {"metrics.csv", "figures"}),
    ],
    ids=["service", "list", "true", "false"],
)
def test_a_run_fills_its_own_folder(tmp_path: Path, logger: object, kept: set[str]) -> None:
    done = run([*ONE, f"--trainer.logger={yaml.safe_dump(logger, default_flow_style=True)}"])
    assert done.run.folder == Path("runs/quickstart/0")
    found = {file.name for file in done.run.folder.iterdir() if not file.name.startswith("events")}
    assert found == kept
    assert changed(tmp_path) == []
    assert {file.name for file in (done.run.folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    if isinstance(logger, list):
        assert (tmp_path / "mine" / "lightning_logs" / "version_0" / "metrics.csv").is_file()
    if isinstance(logger, list | dict):
        assert done.trainer.loggers[-1].logged


def test_the_loggers_of_a_config_get_what_a_test_logs(tmp_path: Path) -> None:
    run([*ONE, f"--trainer.logger={yaml.safe_dump(SERVICE, default_flow_style=True)}"])
    done = run(["predict", "--ckpt_path", "runs/quickstart/0"])
    assert Path("runs/quickstart/0/predictions.csv").is_file()
    assert Path(done.trainer.log_dir) == tmp_path / "runs/quickstart/0"
    assert changed(tmp_path) == []


def test_every_shipped_logger_works_or_names_the_package_that_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    for name in sorted(set(loggers.__all__) - {"Logger", "CSVLogger", "TensorBoardLogger"}):
        try:
            getattr(loggers, name)()
        except ModuleNotFoundError:
            package = name.removesuffix("Logger").lower().replace("lit", "litlogger")
            assert package in refused([*ONE, f"--trainer.logger={name}"], capsys).lower()
            assert not list(Path().glob("runs/*/*"))
    for name in ("CSVLogger", "TensorBoardLogger"):
        assert run([*ONE, f"--trainer.logger={name}", "--trainer.logger.save_dir=mine"]).run.config.is_file()
    assert len(list(Path("mine/lightning_logs").iterdir())) == 2


@pytest.mark.parametrize("option", ["--checkpoint.dirpath=elsewhere", "--checkpoint.save_top_k=0"])
def test_the_summary_names_files_that_exist(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    run([*ONE, option])
    named = re.findall(r"(?:--ckpt_path|-c|run folder ) (\S+)", capsys.readouterr().out)
    assert len(named) >= 5
    assert [path for path in named if not Path(path).exists()] == []
