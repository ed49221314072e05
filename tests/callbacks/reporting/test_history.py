"""A run's metrics as a table and as curves."""

from pathlib import Path

import numpy as np
import pytest

from callbacks import history, plot_history

ROWS = """epoch,lr,step,train/loss,train/loss_step,val/accuracy,val/loss
0,0.1,4,,2.5,,
0,0.08,9,,2.1,,
0,,9,,,0.5,1.9
0,,9,2.2,,,
1,0.04,14,,1.6,,
1,0.01,19,,1.4,,
1,,19,,,0.7,1.5
1,,19,1.5,,,
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "digits" / "3"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(ROWS)
    return folder


def test_a_row_an_epoch(run: Path) -> None:
    table = history(run)
    assert list(table.index) == [0, 1]
    assert table["train/loss"].tolist() == [2.2, 1.5]
    assert table["val/loss"].tolist() == [1.9, 1.5]
    assert table["lr"].tolist() == [0.08, 0.01]  # the last value of the epoch
    assert table["step"].tolist() == [9, 19]
    assert history(run / "metrics.csv").equals(table)


def test_an_experiments_newest_run(run: Path) -> None:
    newer = run.parent / "12"
    newer.mkdir()
    (newer / "metrics.csv").write_text(ROWS.replace("2.2", "9.9"))
    (run.parent / "20").mkdir()  # without a log yet
    assert history(run.parent)["train/loss"][0] == 9.9


def test_a_folder_without_metrics(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no metrics\.csv in .*: expected a run's folder"):
        history(tmp_path)
    (tmp_path / "metrics.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(ValueError, match="has no column epoch"):
        history(tmp_path)


def test_curves(run: Path) -> None:
    loss, accuracy, rate = plot_history(run).axes
    assert (loss.get_yscale(), accuracy.get_yscale(), rate.get_yscale()) == ("log", "linear", "linear")
    training, best, validation = loss.get_lines()
    lowest = int(history(run)["val/loss"].argmin())  # row and epoch, from 0
    assert training.get_label() == "training"
    assert validation.get_label() == f"validation (best {history(run)['val/loss'].min():.3g}, epoch {lowest + 1})"
    assert np.asarray(best.get_xdata()).tolist() == [lowest + 1]
    assert np.asarray(validation.get_xdata()).tolist() == [1, 2]  # epochs counted from 1
    assert plot_history(history(run)).axes[0].get_ylabel() == "loss"


def test_a_loss_below_zero_is_not_drawn_on_a_log_axis(run: Path) -> None:
    (run / "metrics.csv").write_text(ROWS.replace("1.5,,,", "-1.5,,,"))
    assert plot_history(run).axes[0].get_yscale() == "linear"
