"""A run's metrics as a table."""

from pathlib import Path

import pytest

from callbacks import history

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
