"""What Descent's CSV logger needs of Lightning's is still there."""

from pathlib import Path
from typing import Any

from foundation.compat.lightning import (
    CSVLoggerWithWriter,
    MetricsWriter,
)


class NotedWriter(MetricsWriter):
    """Writes down what Lightning asks of it."""

    asked: list[Any]

    def __init__(self, folder: str) -> None:
        self.asked = []
        super().__init__(folder)

    def open_existing(self) -> None:
        self.asked.append("open")

    def add_columns(self, names: list[str]) -> None:
        self.asked.append(names)


class NotedLogger(CSVLoggerWithWriter):
    """A logger with that writer."""

    def make_writer(self) -> MetricsWriter:
        return NotedWriter(self.log_dir)


def test_the_writer_of_the_csv_logger_keeps_what_is_there(tmp_path: Path) -> None:
    logger = NotedLogger(tmp_path, name="", version="run")
    logger.log_metrics({"a": 1.0}, step=0)
    logger.save()
    logger.log_metrics({"a": 2.0, "b": 3.0}, step=1)
    logger.save()
    writer = logger.experiment
    assert writer is logger.experiment
    assert writer.asked == ["open", ["a", "b", "step"]], "Lightning's CSV writer no longer asks these private methods"
    assert logger.finalize("success") is None
