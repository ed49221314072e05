"""`descent guide`: every row can be trained as it is, and the preflight has no warning."""

import warnings
from pathlib import Path

import pytest

from cli import main
from descent.commands.guide import GUIDE, Row
from descent.presets import shipped


@pytest.mark.parametrize("row", GUIDE, ids=lambda row: f"{row.task}, {row.preset}")
def test_every_row_trains_two_steps(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    short = ["--trainer.limit_train_batches=2", "--trainer.limit_val_batches=1", "--trainer.max_epochs=1"]
    few = ["--data.pictures=60"] if "segmentation" in row.words or "multilabel" in row.words else []
    few += ["--data.batch_size=16", "--data.eval_batch_size=32"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = main([*row.command.split()[1:], *short, *few])
    assert run.trainer.global_step == 2
    losses = [value for name, value in run.trainer.callback_metrics.items() if name.endswith("loss")]
    assert losses
    assert all(loss.isfinite() for loss in losses)
    said = [str(warning.message) for warning in caught if "Preflight" in str(warning.message)]
    assert not [text for text in said if "inputs range" not in text]


def test_presets_exist() -> None:
    assert all(shipped(row.preset) for row in GUIDE)


def test_words_select_rows(capsys: pytest.CaptureFixture[str]) -> None:
    main(["guide", "rare"])
    text = capsys.readouterr().out
    assert "losses/focal.yaml" in text
    assert "descent fit -c configs/quickstart.yaml --model.loss losses/focal.yaml" in text
    assert "losses/mse.yaml" not in text


def test_an_unknown_word_gives_an_error_with_the_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["guide", "elephants"])
    assert left.value.code == 2
    assert (
        "nothing about elephants; the tasks are: multi-class classification, binary classification"
        in capsys.readouterr().err
    )
