"""Loggers of a run: `metrics.csv`, which a resumed run continues, and TensorBoard."""

import csv
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from foundation.compat.lightning import CSVLoggerWithWriter, MetricsWriter
from foundation.compat.torch import write_summary
from foundation.files import replacing
from foundation.loggers import WITHIN

TABLE_METRICS = ("val/loss", "val/accuracy", "train/loss")
"""Columns of TensorBoard's table of hyper-parameters."""

TABLE_SETTINGS = ("batch_size", "loss", "lr", "network", "optimizer", "scheduler")
"""Settings that stand first in it."""

EVENTS = "events.out.tfevents.*"

CHARTS = {
    "train and validation": {
        "loss": ["Multiline", ["train/loss", "val/loss"]],
        "accuracy": ["Multiline", ["train/accuracy", "val/accuracy"]],
    }
}


class _ContinuedWriter(MetricsWriter):
    """Append to an existing file, and lose no row in a kill; Lightning's writer deletes the file."""

    def __init__(self, log_dir: str, from_step: int | None) -> None:
        self.from_step = from_step
        super().__init__(log_dir)

    def open_existing(self) -> None:
        """Remove the rows after the checkpoint that is resumed."""
        path = Path(self.metrics_file_path)
        if path.is_file():
            self.metrics_keys = rewind(path, self.from_step)

    def add_columns(self, names: list[str]) -> None:
        """Add columns; Lightning's writer truncates the file first, and a kill then loses every row."""
        path = Path(self.metrics_file_path)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        _write_table(path, names, rows)


def rewind(path: Path, step: int | None) -> list[str]:
    """Remove the rows of `step` and later from a `metrics.csv`, and a last row that a crash cut short.

    Args:
        path: The file; it is replaced atomically.
        step: Step of the checkpoint that is resumed; `None` keeps all complete rows.

    Returns:
        The names of the columns.
    """
    with path.open(newline="") as file:
        table = csv.DictReader(file)
        names = list(table.fieldnames or [])
        rows = [row for row in table if None not in row.values() and None not in row]
    kept = [row for row in rows if step is None or not row.get("step") or int(row["step"]) < step]
    _write_table(path, names, kept)
    return names


def _write_table(path: Path, names: list[str], rows: list[dict[str, str]]) -> None:
    with replacing(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


class RunCSVLogger(CSVLoggerWithWriter):
    """Log into `metrics.csv` in a run's folder, and continue the file when the run is resumed.

    Args:
        folder: The run's folder.
        from_step: Step from which a run is resumed; rows of this step and later are removed.
    """

    def __init__(self, folder: str | os.PathLike[str], from_step: int | None = None) -> None:
        path = Path(folder)
        self.from_step = from_step
        super().__init__(save_dir=path.parent, name="", version=path.name)

    def make_writer(self) -> MetricsWriter:
        """Create the writer that continues the file."""
        return _ContinuedWriter(self.log_dir, self.from_step)

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Append a row; one with validation or test results is written to disk at once."""
        super().log_metrics(metrics, step)
        if any(name.startswith(("val/", "test/")) for name in metrics):
            self.save()

    def holds(self, metrics: Mapping[str, Any], step: int) -> bool:
        """Return whether the file has a row of this step with these metrics, after later rows were removed."""
        path = Path(self.experiment.metrics_file_path)
        if not path.is_file():
            return False
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("step") == str(step)]
        return any(all(row.get(name) for name in metrics) for row in rows)

    @rank_zero_only
    def log_hyperparams(self, params: Any = None) -> None:
        """Do nothing: the run's `config.yaml` holds them."""


class RunTensorBoardLogger(TensorBoardLogger):
    """Log TensorBoard events into a run's folder: training and validation in one chart, config and settings.

    Args:
        folder: The run's folder.
        purge_step: Step from which a run is resumed; later events are hidden.
    """

    def __init__(self, folder: str | os.PathLike[str], purge_step: int | None = None) -> None:
        path = Path(folder)
        super().__init__(
            save_dir=path.parent, name="", version=path.name, default_hp_metric=False, purge_step=purge_step
        )
        self._has_layout = False
        self._ended: Any = None
        self._earlier = set(path.glob(EVENTS))

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The SummaryWriter; the charts are defined at its first use."""
        writer = super().experiment
        if not self._has_layout:
            self._has_layout = True
            writer.add_custom_scalars(CHARTS)
        return writer

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log values, under names by which TensorBoard shows training and validation first; no chart of the epoch."""
        super().log_metrics({shown_as(name): value for name, value in metrics.items() if name != "epoch"}, step)

    @rank_zero_only
    def log_text(self, name: str, text: str) -> None:
        """Log a text, shown as a block of code."""
        block = "\n".join(f"    {line}" for line in text.splitlines())
        self.experiment.add_text(name, block)

    @rank_zero_only
    def log_settings(self, settings: Mapping[str, bool | str | float | int]) -> None:
        """Add the run's row to the table of hyper-parameters, which shows the last logged values of the metrics."""
        from torch.utils.tensorboard.summary import hparams

        about, begun, self._ended = hparams(dict(settings), dict.fromkeys(TABLE_METRICS, 0.0))
        in_front(about, TABLE_SETTINGS)
        write_summary(self.experiment, about)
        write_summary(self.experiment, begun)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the files; a killed run stays "running" in the table of hyper-parameters."""
        if self._ended is not None and status == "success":
            write_summary(self.experiment, self._ended)
            self._ended = None
        super().finalize(status)

    @rank_zero_only
    def discard(self) -> None:
        """Remove the file of a run that took no step: Lightning has it made before that is known."""
        for file in set(Path(self.log_dir).glob(EVENTS)) - self._earlier:
            if f".{os.getpid()}." in file.name:
                file.unlink(missing_ok=True)

    @rank_zero_only
    def save(self) -> None:
        """Flush only: Lightning would also write an empty hparams.yaml, and config.yaml exists already."""
        self.experiment.flush()


def shown_as(name: str) -> str:
    """Return under which name TensorBoard shows a value; it sorts the groups of charts, by alphabet.

    Learning rates are among the values of training; what belongs to gradients or layers comes after `val`.

    Example:
        >>> [shown_as(name) for name in ("train/loss", "lr", "lr/generator", "grad_norm/total", "my_value")]
        ['train/loss', 'train/lr', 'train/lr/generator', 'within_grad_norm/total', 'my_value']
    """
    if name == "lr" or name.startswith("lr/"):
        return f"train/{name}"
    return f"{WITHIN}{name}" if name.startswith("grad_norm/") else name


def in_front(about: Any, names: Collection[str]) -> None:
    """Let TensorBoard's table of hyper-parameters begin with some of them; it does so with what is said to differ."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    held = about.value[0].metadata.plugin_data
    data = HParamsPluginData.FromString(held.content)
    for info in data.experiment.hparam_infos:
        info.differs = info.name in names
    held.content = data.SerializeToString()


def run_loggers(folder: Path, from_step: int | None = None) -> list[Logger]:
    """Return a run's default loggers; the CSV logger is first, as its folder is the trainer's `log_dir`.

    Args:
        folder: The run's folder.
        from_step: Step of the first row that a resumed run logs (`next_logged_step`); what the interrupted run logged
            with this step and later is dropped.
    """
    return [RunCSVLogger(folder, from_step), RunTensorBoardLogger(folder, from_step)]
