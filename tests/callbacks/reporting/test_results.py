"""The results of a test as a table that says what they mean."""

from pathlib import Path

import pytest
from lightning.pytorch import Trainer

from callbacks.reporting.results import ResultsTable, results_table
from tests.callbacks.inside_case import classifier, data


def trainer(folder: Path) -> Trainer:
    return Trainer(
        default_root_dir=folder, accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[ResultsTable()]
    )


@pytest.mark.parametrize("stage", ["test", "validate"])
def test_a_table_in_the_place_of_lightnings(tmp_path: Path, capsys: pytest.CaptureFixture[str], stage: str) -> None:
    ours, module = trainer(tmp_path), classifier()
    getattr(ours, stage)(module, data())
    said = capsys.readouterr().out
    name = "val" if stage == "validate" else stage
    value = float(ours.callback_metrics[f"{name}/accuracy"])
    line = next(line for line in said.splitlines() if line.startswith(f"{name}/accuracy "))
    assert line.split(maxsplit=2)[1:] == [f"{value:.4f}", line.split(maxsplit=2)[2]]
    assert "share of right answers; higher is better; the most common class (" in line
    assert "the loss, mean of all samples; lower is better" in said
    assert "DataLoader 0" not in said
    getattr(ours, stage)(module, data(), verbose=False)
    assert capsys.readouterr().out == ""


def test_the_checkpoint_stands_above_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, module = trainer(tmp_path), classifier()
    ours.test(module, data())
    assert "checkpoint" not in capsys.readouterr().out
    ours.save_checkpoint(tmp_path / "some.ckpt")
    ours.test(module, data(), ckpt_path=str(tmp_path / "some.ckpt"), weights_only=True)
    assert f"checkpoint  {tmp_path / 'some.ckpt'}\nmetric " in capsys.readouterr().out


@pytest.mark.parametrize("width", [60, 100, None])
def test_long_meanings_are_broken_between_words(width: int | None) -> None:
    names = ["test/accuracy", "test/my_own_quantity"]
    text = results_table(dict.fromkeys(names, 0.5), {names[0]: "a long sentence about what it is " * 3}, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= (width or 1000)
    assert " ".join(text.split()).count("a long sentence about what it is") == 3
    assert all(line.startswith((" " * 32, "metric", *names)) for line in lines)
