"""Where a run's files lie, whichever loggers a trainer has, and names that replace no file."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger

from foundation.loggers import report_path, run_folder


class ServiceLogger(Logger):
    """A logger as those of wandb, MLflow or Comet: one `save_dir` for all runs, and an identifier for each."""

    def __init__(self, save_dir: str = ".", version: str | int = "3f2a") -> None:
        super().__init__()
        self.folder, self.identifier = save_dir, version
        self.logged: list[Any] = []

    name = "project"

    @property
    def save_dir(self) -> str:
        return self.folder

    @property
    def version(self) -> str | int:
        return self.identifier

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.logged.append(metrics)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        pass


def trainer(folder: Path, logger: Any) -> Trainer:
    return Trainer(default_root_dir=folder, logger=logger, accelerator="cpu", enable_progress_bar=False)


@pytest.mark.parametrize(
    ("loggers", "expected"),
    [
        (False, "."),
        ([ServiceLogger("store")], "store/project/3f2a"),
        ([ServiceLogger("store", 4)], "store/project/version_4"),
        ([CSVLogger("csv", name="mine", version=2)], "csv/mine/version_2"),
        ([ServiceLogger("store"), CSVLogger("csv", name="mine", version=2)], "csv/mine/version_2"),
    ],
)
def test_the_folder_belongs_to_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loggers: Any, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_folder(trainer(tmp_path, loggers)).absolute() == (tmp_path / expected).absolute()


def test_the_folder_of_descent_comes_first(tmp_path: Path) -> None:
    own = trainer(tmp_path, CSVLogger(tmp_path / "csv"))
    own.run_folder = tmp_path / "runs" / "a" / "0"  # type: ignore[attr-defined]
    assert run_folder(own) == tmp_path / "runs" / "a" / "0"


def test_a_report_replaces_only_a_file_of_its_own_run(tmp_path: Path) -> None:
    (tmp_path / "clipping.txt").write_text("of the user")
    first, second = trainer(tmp_path, False), trainer(tmp_path, False)
    path = report_path(first, tmp_path, "clipping.txt")
    path.write_text("first")
    assert path.name == "clipping-1.txt"
    assert report_path(first, tmp_path, "clipping.txt") == path
    assert report_path(second, tmp_path, "clipping.txt").name == "clipping-2.txt"
    second.run_folder = tmp_path  # type: ignore[attr-defined]
    assert report_path(second, tmp_path, "clipping.txt").name == "clipping.txt"


def test_a_resumed_run_replaces_the_reports_beside_its_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "clipping.txt").touch()
    resumed = trainer(tmp_path, False)
    resumed.ckpt_path = str(tmp_path / "checkpoints" / "last.ckpt")
    assert report_path(resumed, tmp_path, "clipping.txt").name == "clipping.txt"
