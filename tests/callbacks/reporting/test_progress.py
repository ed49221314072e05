"""A table with a row an epoch; on a terminal a progress bar below."""

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from rich.console import Console

from callbacks import EpochBar, EpochLines
from callbacks.reporting.rows import rates
from descent.training.trainer import Trainer as DescentTrainer
from descent.training.trainer import default_progress_bar
from tests.callbacks.inside_case import Network, classifier, data


def trainer_with(folder: Path, bar: ProgressBar, **options: Any) -> Trainer:
    defaults: dict[str, Any] = {
        "default_root_dir": folder,
        "accelerator": "cpu",
        "max_epochs": 3,
        "callbacks": [bar],
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
    }
    return Trainer(**(defaults | options))


ROW = r" +(\d)/3 +\d\.\d{4} +\d\.\d{4}\*? +\d\.\d{4} .* \d+\.\d s(?: +\d+ s)?"


def rows(text: str) -> list[str]:
    return [
        line.rstrip() for line in text.splitlines() if re.match(r" *[\d.]+(/\d+)? ", line) and "batches" not in line
    ]


def test_a_row_an_epoch_and_a_header_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = trainer_with(tmp_path, EpochLines())
    trainer.fit(classifier(), data())
    said = capsys.readouterr().out
    lines = rows(said)
    assert [re.fullmatch(ROW, line)[1] for line in lines] == ["1", "2", "3"]  # type: ignore[index]
    assert said.count("train loss  val loss") == said.count("* best val/loss so far") == 1
    assert "\r" not in said
    assert "\x1b" not in said
    header = next(line for line in said.splitlines() if line.startswith("epoch"))
    value = lines[-1][header.index("train loss") : header.index("train loss") + len("train loss")]
    assert float(value) == pytest.approx(trainer.callback_metrics["train/loss"].item(), abs=1e-4)


def test_a_row_has_what_was_measured_in_its_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = trainer_with(tmp_path, EpochLines())
    trainer.check_val_every_n_epoch = 2
    trainer.fit(classifier(), data())
    said = capsys.readouterr().out
    lines = rows(said)
    assert ["*" in line for line in lines] == [False, True, False]  # a validation in the second, the first and best
    assert len({len(line) for line in lines}) == 1
    assert said.count("val loss") == 1, "its column is there before the first validation"


def test_a_validation_in_mid_epoch_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = trainer_with(tmp_path, EpochLines(), max_epochs=-1, max_steps=100, val_check_interval=40)
    trainer.fit(classifier(), data())
    lines = rows(capsys.readouterr().out)
    assert [line.split()[:2] for line in lines] == [["0.50", "40/100"], ["1", "80/100"], ["1.25", "100/100"]]


def test_the_row_of_an_epoch_does_not_repeat_a_validation_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = trainer_with(tmp_path, EpochLines(), max_epochs=1, val_check_interval=60)
    trainer.fit(classifier(), data())
    said = capsys.readouterr().out
    validation, epoch = rows(said)
    header = next(line for line in said.splitlines() if line.lstrip().startswith("epoch"))
    place = slice(header.index("val loss"), header.index("val loss") + len("val loss"))
    assert (bool(validation[place].strip()), bool(epoch[place].strip())) == (True, False)


def test_a_row_has_what_the_module_logs_for_the_progress_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Logs(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
            pl_module.log("temperature", 0.25, prog_bar=True)
            pl_module.log("hidden", 0.5)

    trainer = trainer_with(tmp_path, EpochLines())
    trainer.callbacks.append(Logs())  # type: ignore[attr-defined]
    trainer.fit(classifier(), data())
    said = capsys.readouterr().out
    assert said.count("temperature") == 1
    assert said.count(" 0.2500 ") == 3
    assert "hidden" not in said


def test_the_last_row_comes_before_the_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Report(Callback):
        def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            print("the report")

    ours = DescentTrainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        max_epochs=2,
        limit_train_batches=2,
        callbacks=[Report()],
        logger=False,
        enable_checkpointing=False,
    )
    ours.fit(classifier(), data())
    said = capsys.readouterr().out
    assert len(rows(said)) == 2
    assert said.rstrip().endswith("the report")


def test_other_ranks_print_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = EpochLines()
    lines.disable()
    lines.print("nothing")
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(default_progress_bar(), EpochLines)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert isinstance(default_progress_bar(), EpochBar)


class Own(LightningModule):
    """Metrics under other names, two optimizers, and values of all magnitudes."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.automatic_optimization = Network(), False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.log("training_loss", 123456.789, on_step=False, on_epoch=True)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        values = {"loss/valid": 2e-5, "valid-acc": 0.5, "val_quality_of_the_reconstructed_images": 1e12}
        self.log_dict(values, batch_size=1)

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in (self.net.body, self.net.head)]


def columns_of(line: str) -> list[tuple[str, int]]:
    """Return the titles, which one or two spaces separate, with the place where each ends."""
    return [(found[0], found.end()) for found in re.finditer(r"\S+(?: \S+)*", line)]


@pytest.mark.parametrize(
    ("width", "few", "many"),
    [
        (60, "epoch, train loss, val loss, train acc, val acc, time", "epoch, train loss, val loss, val acc, lr 1, time"),
        (100, "epoch, train loss, val loss, train acc, val acc, val acc top5, lr, time, left",
         "epoch, train loss, val loss, val acc, val quality of the re…, lr 1, time, left"),
        (160, "epoch, train loss, val loss, train acc, val acc, val acc top5, lr, time, left",
         "epoch, train loss, val loss, val acc, val quality of the re…, lr 1, lr 2, time, left"),
    ],
)  # fmt: skip
def test_the_table_fits_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, few: str, many: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for module, titles in ((classifier(), few), (Own(), many)):
        trainer_with(tmp_path, EpochBar(), limit_train_batches=4).fit(module, data())
        said = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        header = next(line for line in said if line.startswith("epoch "))
        lines = rows("\n".join(said))
        assert ", ".join(title for title, _ in columns_of(header)) == titles
        assert said.count(header) == 1
        assert len(lines) == 3
        assert max(map(len, said)) <= width
        ends = {end for _, end in columns_of(header)}
        for line in lines:  # each value ends where its title does
            assert {found.end() for found in re.finditer(r"[^\s*](?=\*|  |$)", line)} == ends, f"{header}\n{line}"


def test_colours_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        file = io.StringIO()
        console = Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm-256color"} | variables)
        monkeypatch.setattr("callbacks.reporting.progress.get_console", lambda console=console: console)
        bar = EpochBar()
        bar.print_line("epoch  val loss", None)
        bar.print_line(f"  1/3    0.5000*{' ' * 90}end", True)
        assert "\x1b[1mepoch  val loss\x1b[0m" in file.getvalue(), "bold is no colour"
        assert ("\x1b[1;32m" in file.getvalue()) == coloured
        assert file.getvalue().count("\n") == 2
        assert "0.5000" in file.getvalue()
        assert "end" in file.getvalue()
        bar.disable()
        bar.print_line("nothing", None)
        assert "nothing" not in file.getvalue()


def test_a_resumed_run_knows_its_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saver = ModelCheckpoint(tmp_path, monitor="val/loss")
    trainer = trainer_with(tmp_path, EpochLines(), callbacks=[EpochLines(), saver], enable_checkpointing=True)
    saver.best_model_score = torch.tensor(0.0)
    trainer.fit(classifier(), data())
    said = capsys.readouterr().out
    assert "* best val/loss so far" in said
    assert not any("*" in line for line in rows(said))


def test_the_rate_of_the_table_is_the_largest_of_the_groups() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": [parameters[0]], "lr": 1e-5}, {"params": [parameters[1]], "lr": 0.002}]
    trainer = SimpleNamespace(optimizers=[torch.optim.SGD(groups)], lr_scheduler_configs=[])
    assert rates(trainer) == {"lr": 0.002}
