"""A pytest plugin that puts Descent's classes in the place of Lightning's, before any test is imported.

`LIGHTNING_TESTS_REPLACE` names what is replaced: `checkpoint`, `io`, `parser`, `csv`, with commas between. A test that
takes longer than `LIMIT` fails: one that waits for ever would end the whole run.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch import cli, loggers

from callbacks import DurableCheckpoint, DurableCheckpointIO
from descent.runs.loggers import RunCSVLogger
from descent.training.parser import Parser
from foundation.compat.lightning_cli import CommandLine

VARIABLE = "LIGHTNING_TESTS_REPLACE"
LIMIT = 60  # seconds for a test
NEVER = 10**9  # epochs


class TooLong(BaseException):
    """A test takes too long; no code under test catches it."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """End a test that takes too long."""

    def end(*args: object) -> None:
        raise TooLong(f"longer than {LIMIT} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def everywhere(name: str, old: type[Any], new: type[Any]) -> None:
    """Replace a class in every module of Lightning that has imported it."""
    for module in [each for key, each in sys.modules.items() if key.startswith("lightning.")]:
        if getattr(module, name, None) is old:
            setattr(module, name, new)


class ModelCheckpoint(DurableCheckpoint):
    """`DurableCheckpoint` with Lightning's defaults, a monitor of none and a mode of min, and without what it lacks.

    An interval of 0 is none, as in Lightning; the end of the last epoch is saved in any case.
    """

    def __init__(self, dirpath: Any = None, filename: Any = None, monitor: Any = None, **given: Any) -> None:
        given = {"mode": "min" if monitor not in (None, "epoch", "step") else None} | given
        off = {"every_n_train_steps": None, "every_n_epochs": NEVER}
        given |= {name: value for name, value in off.items() if given.get(name) == 0}
        lacking = {
            "verbose",
            "auto_insert_metric_name",
            "save_last",
            "save_on_train_epoch_end",
            "enable_version_counter",
        }
        options = {name: value for name, value in given.items() if name not in lacking and value is not None}
        super().__init__(dirpath=dirpath, monitor=monitor, **options)


class CSVLogger(RunCSVLogger):
    """`RunCSVLogger` in the folder that Lightning's logger would have."""

    def __init__(self, save_dir: Any, *args: Any, flush_logs_every_n_steps: int = 100, **given: Any) -> None:
        super().__init__(Path(CSV(save_dir, *args, **given).log_dir))


class Line(CommandLine):
    """`CommandLine` with Descent's parser."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **{"parser_class": Parser} | given)


CSV = loggers.CSVLogger
REPLACE: dict[str, Callable[[], None]] = {
    "checkpoint": lambda: everywhere("ModelCheckpoint", lightning_callbacks.ModelCheckpoint, ModelCheckpoint),
    "io": lambda: everywhere("TorchCheckpointIO", TorchCheckpointIO, DurableCheckpointIO),
    "parser": lambda: everywhere("LightningCLI", cli.LightningCLI, Line),
    "csv": lambda: everywhere("CSVLogger", CSV, CSVLogger),
}

for _name in filter(None, os.environ.get(VARIABLE, "").split(",")):
    REPLACE[_name]()
