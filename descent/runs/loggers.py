"""A run's logs: `metrics.csv` that a resumed run continues, and TensorBoard with train and validation in one chart."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from descent.runs.settings_table import METRICS
from foundation.compat.lightning import CSVLoggerWithWriter, MetricsWriter
from foundation.compat.torch import write_summary

CHARTS = {
    "train and validation": {
        "loss": ["Multiline", ["train/loss", "val/loss"]],
        "accuracy": ["Multiline", ["train/accuracy", "val/accuracy"]],
    }
}


class _ContinuedWriter(MetricsWriter):
    """Lightning's writer deletes what it finds in the folder; this one goes on after it, and is killed without loss."""

    def __init__(self, log_dir: str, from_step: int | None) -> None:
        self.from_step = from_step
        super().__init__(log_dir)

    def open_existing(self) -> None:
        """Continue the file after the checkpoint's step."""
        path = Path(self.metrics_file_path)
        if path.is_file():
            self.metrics_keys = rewind(path, self.from_step)

    def add_columns(self, names: list[str]) -> None:
        """Add columns; Lightning's own truncates the file first, and a kill then loses every row."""
        path = Path(self.metrics_file_path)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        _replace(path, names, rows)


def rewind(path: Path, step: int | None) -> list[str]:
    """Take rows of ``step`` and later out of a ``metrics.csv``, and a last one that a crash cut short.

    Args:
        path: The file; it is replaced as a whole.
        step: Of the checkpoint that is resumed; None: leave the rows.

    Returns:
        The names of the columns.
    """
    with path.open(newline="") as file:
        table = csv.DictReader(file)
        names = list(table.fieldnames or [])
        rows = [row for row in table if None not in row.values() and None not in row]
    kept = [row for row in rows if step is None or not row.get("step") or int(row["step"]) < step]
    _replace(path, names, kept)
    return names


def _replace(path: Path, names: list[str], rows: list[dict[str, str]]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(path)


class RunCSVLogger(CSVLoggerWithWriter):
    """`metrics.csv` in a run's folder, continued when the run is resumed.

    Args:
        folder: The run's folder.
        from_step: When a run is resumed from this step, what it had logged after it is taken out.
    """

    def __init__(self, folder: str | os.PathLike[str], from_step: int | None = None) -> None:
        path = Path(folder)
        self.from_step = from_step
        super().__init__(save_dir=path.parent, name="", version=path.name)

    def make_writer(self) -> MetricsWriter:
        """Make the writer that continues the file."""
        return _ContinuedWriter(self.log_dir, self.from_step)

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Append a row; one with an epoch's results is on disk at once."""
        super().log_metrics(metrics, step)
        if any(name.startswith(("val/", "test/")) for name in metrics):
            self.save()

    def holds(self, metrics: Mapping[str, Any], step: int) -> bool:
        """Whether a row of this step with these metrics is in the file, which is first rewound to the checkpoint."""
        path = Path(self.experiment.metrics_file_path)
        if not path.is_file():
            return False
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("step") == str(step)]
        return any(all(row.get(name) for name in metrics) for row in rows)

    @rank_zero_only
    def log_hyperparams(self, params: Any = None) -> None:
        """Nothing: the run's `config.yaml` holds them."""


class RunTensorBoardLogger(TensorBoardLogger):
    """TensorBoard events in a run's folder, train and validation in one chart, config and settings with it.

    Args:
        folder: The run's folder.
        purge_step: When a run is resumed from this step, what it had logged after it is hidden.
    """

    def __init__(self, folder: str | os.PathLike[str], purge_step: int | None = None) -> None:
        path = Path(folder)
        super().__init__(
            save_dir=path.parent, name="", version=path.name, default_hp_metric=False, purge_step=purge_step
        )
        self._has_layout = False
        self._ended: Any = None

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The SummaryWriter; its charts are laid out when it is first used."""
        writer = super().experiment
        if not self._has_layout:
            self._has_layout = True
            writer.add_custom_scalars(CHARTS)
        return writer

    @rank_zero_only
    def log_text(self, name: str, text: str) -> None:
        """A text, shown as a block of code."""
        block = "\n".join(f"    {line}" for line in text.splitlines())
        self.experiment.add_text(name, block)

    @rank_zero_only
    def log_settings(self, settings: Mapping[str, bool | str | float | int]) -> None:
        """The run's row in the table of hyper-parameters; its metrics are those logged, with their last values."""
        from torch.utils.tensorboard.summary import hparams

        about, begun, self._ended = hparams(dict(settings), dict.fromkeys(METRICS, 0.0))
        write_summary(self.experiment, about)
        write_summary(self.experiment, begun)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the files; a run that was killed stays "running" in the table of hyper-parameters."""
        if self._ended is not None and status == "success":
            write_summary(self.experiment, self._ended)
            self._ended = None
        super().finalize(status)

    @rank_zero_only
    def save(self) -> None:
        """Flush; Lightning's own also writes an empty hparams.yaml, and the config is here already."""
        self.experiment.flush()


def run_loggers(folder: Path, from_step: int | None = None) -> list[Logger]:
    """The loggers that a run has by default; CSV first, whose folder is the trainer's `log_dir`.

    Args:
        folder: The run's folder.
        from_step: Optimizer step of the checkpoint that is resumed: what was logged after it is not of this run.
    """
    return [RunCSVLogger(folder, from_step), RunTensorBoardLogger(folder, from_step)]
