"""A pytest plugin that puts Descent's classes in the place of Lightning's, before any test is imported.

`LIGHTNING_TESTS_REPLACE` names what is replaced: `checkpoint`, `io`, `parser`, `csv`, with commas between.
"""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

VARIABLE = "LIGHTNING_TESTS_REPLACE"


def everywhere(name: str, old: type[Any], new: type[Any]) -> None:
    """Replace a class in every module of Lightning that has imported it, but where it is defined as a base."""
    for module in [each for key, each in sys.modules.items() if key.startswith("lightning.")]:
        if getattr(module, name, None) is old:
            setattr(module, name, new)


def replace_checkpoint() -> None:
    """Put `DurableCheckpoint`, which the tests give arguments of Lightning's, in the place of `ModelCheckpoint`."""
    from lightning.pytorch.callbacks import ModelCheckpoint

    from callbacks import DurableCheckpoint

    class Checkpoint(DurableCheckpoint):
        """`DurableCheckpoint` with Lightning's default monitor, which is none."""

        def __init__(self, dirpath: Any = None, filename: str | None = None, monitor: Any = None, **given: Any) -> None:
            if filename is not None:
                raise TypeError("DurableCheckpoint has no argument filename")
            for name in ("verbose", "auto_insert_metric_name", "save_last"):
                given.pop(name, None)
            super().__init__(dirpath=dirpath, monitor=monitor, **{k: v for k, v in given.items() if v is not None})

    Checkpoint.__name__ = Checkpoint.__qualname__ = "ModelCheckpoint"
    everywhere("ModelCheckpoint", ModelCheckpoint, Checkpoint)


def replace_io() -> None:
    """Put `DurableCheckpointIO` in the place of `TorchCheckpointIO`."""
    from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

    from callbacks import DurableCheckpointIO

    everywhere("TorchCheckpointIO", TorchCheckpointIO, DurableCheckpointIO)


def replace_parser() -> None:
    """Put Descent's parser in the place of LightningCLI's, and its command line in that of `LightningCLI`."""
    from lightning.pytorch import cli

    from descent.training.parser import Parser
    from foundation.compat.lightning_cli import CommandLine

    class Line(CommandLine):
        """`CommandLine` with Descent's parser."""

        def __init__(self, *args: Any, **given: Any) -> None:
            super().__init__(*args, **{"parser_class": Parser} | given)

    everywhere("LightningCLI", cli.LightningCLI, Line)


def replace_csv() -> None:
    """Put `RunCSVLogger`, which the tests give arguments of Lightning's, in the place of `CSVLogger`."""
    from lightning.pytorch.loggers import CSVLogger

    from descent.runs.loggers import RunCSVLogger

    class Logger(RunCSVLogger):
        """`RunCSVLogger` in the folder that Lightning's logger would have."""

        def __init__(self, save_dir: Any, *args: Any, **given: Any) -> None:
            super().__init__(Path(CSVLogger(save_dir, *args, **given).log_dir))

    Logger.__name__ = Logger.__qualname__ = "CSVLogger"
    everywhere("CSVLogger", CSVLogger, Logger)


REPLACE: dict[str, Callable[[], None]] = {
    "checkpoint": replace_checkpoint,
    "io": replace_io,
    "parser": replace_parser,
    "csv": replace_csv,
}

for _module in ("lightning.pytorch", "lightning.pytorch.cli", "lightning.pytorch.plugins.io", "callbacks"):
    importlib.import_module(_module)
for _name in filter(None, os.environ.get(VARIABLE, "").split(",")):
    REPLACE[_name]()
