"""Read a run's metrics as a table by epoch."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

METRICS_FILE = "metrics.csv"


def history(run: "str | os.PathLike[str]") -> "pd.DataFrame":
    r"""Return a run's metrics by epoch.

    Args:
        run: A run's folder (of Descent, or any with Lightning's `metrics.csv`), the file itself, or an experiment's
            folder, for its newest run.

    Returns:
        One row an epoch (index `epoch`, from 0) with the last value of each metric in it, also of metrics logged per
        step such as `lr`. `step` is the number of the epoch's last logged step.

    Raises:
        FileNotFoundError: There is no `metrics.csv`.

    Example:
        >>> from pathlib import Path; from tempfile import mkdtemp
        >>> folder = Path(mkdtemp())
        >>> rows = "epoch,step,train/loss,val/loss\n0,9,,0.7\n0,9,0.5,\n1,19,0.2,\n"
        >>> _ = (folder / "metrics.csv").write_text(rows)
        >>> history(folder)
               step  train/loss  val/loss
        epoch
        0         9         0.5       0.7
        1        19         0.2       NaN
    """
    import pandas as pd

    rows = pd.read_csv(metrics_file(Path(run)))
    if "epoch" not in rows:
        raise ValueError(f"{metrics_file(Path(run))} has no column epoch: nothing was logged with an epoch.")
    rows["epoch"] = rows["epoch"].ffill().bfill()
    table = rows.groupby("epoch").last()
    table.index = table.index.astype(int)
    columns = ["step", *sorted(name for name in table.columns if name != "step")]
    return table[columns].dropna(axis="columns", how="all")


def metrics_file(path: Path) -> Path:
    """Return the `metrics.csv` of a path: a file, a run's folder or an experiment's."""
    if path.is_file():
        return path
    if (path / METRICS_FILE).is_file():
        return path / METRICS_FILE
    runs = sorted((entry for entry in path.glob("*/") if entry.name.isdigit()), key=lambda entry: int(entry.name))
    for run in reversed(runs):
        if (run / METRICS_FILE).is_file():
            return run / METRICS_FILE
    raise FileNotFoundError(
        f"no {METRICS_FILE} in {path}: expected a run's folder, or an experiment's with runs in it."
    )
