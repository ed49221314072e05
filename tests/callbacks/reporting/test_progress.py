"""One line an epoch with its metrics; on a terminal a progress bar below."""

import re
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar

from callbacks import EpochBar, EpochLines
from descent.training.trainer import default_progress_bar
from tests.callbacks.inside_case import classifier, data


def trainer_with(folder: Path, bar: ProgressBar) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=3,
        callbacks=[bar],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )


LINE = r"epoch (\d)/3  train/loss \d\.\d{4}  val/loss \d\.\d{4}  train/accuracy .*lr \S+  \d+\.\d s"


def test_a_line_an_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = trainer_with(tmp_path, EpochLines())
    trainer.fit(classifier(), data())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [re.fullmatch(LINE, line)[1] for line in lines] == ["1", "2", "3"]  # type: ignore[index]
    last = re.search(r"train/loss (\S+)", lines[-1])
    assert last is not None
    assert float(last[1]) == pytest.approx(trainer.callback_metrics["train/loss"].item(), abs=1e-4)


def test_a_line_has_what_was_measured_in_its_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = trainer_with(tmp_path, EpochLines())
    trainer.check_val_every_n_epoch = 2
    trainer.fit(classifier(), data())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert ["train/loss" in line for line in lines] == [True, True, True]
    assert ["val/loss" in line for line in lines] == [False, True, False]


def test_a_line_has_what_the_module_logs_for_the_progress_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Logs(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
            pl_module.log("temperature", 0.25, prog_bar=True)
            pl_module.log("hidden", 0.5)

    trainer = trainer_with(tmp_path, EpochLines())
    trainer.callbacks.append(Logs())  # type: ignore[attr-defined]
    trainer.fit(classifier(), data())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert all("  temperature 0.2500" in line and "hidden" not in line for line in lines)
    assert len(lines) == 3


def test_other_ranks_print_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = EpochLines()
    lines.disable()
    lines.print("nothing")
    assert capsys.readouterr().out == ""


def test_the_same_lines_above_a_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    trainer_with(tmp_path, EpochBar()).fit(classifier(), data())
    assert re.findall(LINE, capsys.readouterr().out) == ["1", "2", "3"]


def test_a_terminal_gets_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(default_progress_bar(), EpochLines)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert isinstance(default_progress_bar(), EpochBar)


@pytest.mark.parametrize("columns", [60, 100, 160])
def test_a_line_fits_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    trainer_with(tmp_path, EpochBar()).fit(classifier(), data())
    lines = [
        line.rstrip() for line in capsys.readouterr().out.splitlines() if re.match(r"epoch \d/3  train/loss", line)
    ]
    assert len(lines) == 3
    assert max(map(len, lines)) <= columns
    assert all(line.endswith(" s") for line in lines), "broken in two"
    assert all(("val/accuracy_top5" in line) == (columns == 160) for line in lines)
