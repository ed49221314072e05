"""Lightning still says what `foundation.compat.lightning_messages` recognizes; a text that is gone can be deleted there."""

import importlib
import logging
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonargparse
import lightning
import lightning_utilities.core.rank_zero
import pytest
import torch.utils
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.profilers import Profiler

from foundation.compat.lightning_messages import (
    LOG_LINES,
    LOGGERS,
    PROFILED_STEPS,
    WARNINGS,
    profiled_callback,
    profiled_step,
    reworded,
)

IN_PIECES = {
    "[rank: ": "[rank: {rank}] ",
    "-" * 100: "{'-' * 100}",
    "Loaded model weights from": "Loaded model weights",
    "Restored all states from": "Restored all states",
    "Using 16bit Automatic Mixed Precision": "Using {'16bit' if self._precision_flag == '16-mixed' else 'bfloat16'} Auto",
    "Using bfloat16 Automatic Mixed Precision": "else 'bfloat16'} Automatic Mixed Precision",
}
"""How the source writes a line that it puts together."""


@cache
def sources() -> str:
    folder = Path(lightning.__file__).parent
    files = [
        *folder.glob("pytorch/**/*.py"),
        *folder.glob("fabric/**/*.py"),
        *Path(torch.utils.__file__).parent.glob("_*pytree.py"),
        Path(lightning_utilities.core.rank_zero.__file__),
        *Path(jsonargparse.__file__).parent.glob("_deprecated.py"),  # it warns of Lightning's calls
    ]
    return "\n".join(file.read_text() for file in files)


@pytest.mark.parametrize("line", LOG_LINES)
def test_a_line_that_is_left_out_is_still_logged(line: str) -> None:
    assert IN_PIECES.get(line, line) in sources(), f"Lightning no longer logs {line!r}: delete it from LOG_LINES"


@pytest.mark.parametrize("pattern", WARNINGS)
def test_a_warning_that_is_ignored_is_still_given(pattern: str) -> None:
    texts = [part for part in re.split(r"\.\*|\(train\|val.*\)", pattern.replace("\\", "")) if len(part) > 8]
    assert texts
    for text in texts:
        known = text.removesuffix("(").removesuffix("('")
        assert known in sources(), f"Lightning no longer warns of {known!r}: delete it from WARNINGS"


@pytest.mark.parametrize("name", LOGGERS)
def test_every_logger_that_is_filtered_is_one_of_lightnings(name: str) -> None:
    assert importlib.import_module(name), f"Lightning has no module {name} whose logger it could be"


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What Lightning logs."""
    seen: list[str] = []

    class Note(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    handler = Note()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, logger.filters, logger.disabled) for logger in loggers]
    for logger in loggers:  # an earlier test in this process may have hidden the lines
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.filters, logger.disabled = [], False
    yield seen
    for logger, (level, filters, disabled) in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.filters, logger.disabled = filters, disabled


class Actions(Profiler):
    """Writes down the names of what is profiled."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def start(self, action_name: str) -> None:
        self.names.add(action_name)

    def stop(self, action_name: str) -> None:
        pass


class Watching(Callback):
    """A callback without hooks."""


def test_a_fit_says_and_profiles_what_is_known(tmp_path: Path, lines: list[str]) -> None:
    actions = Actions()
    options: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = Trainer(
        default_root_dir=tmp_path,
        max_epochs=1,
        limit_train_batches=2,
        accelerator="cpu",
        profiler=actions,
        callbacks=[Watching()],
        gradient_clip_val=1.0,
        **options,
    )
    trainer.fit(BoringModel())
    found = {step for name in actions.names if (step := profiled_step(name))}
    assert found == set(PROFILED_STEPS.values()), "Lightning names the parts of a step differently"
    assert "Watching" in {profiled_callback(name) for name in actions.names}, "Lightning names callbacks differently"
    said = {line for line in LOG_LINES for text in lines if text.startswith(line)}
    assert {"GPU available", "TPU available", "`Trainer.fit` stopped"} <= said, f"Lightning said {lines}"


LIGHTNING_SAYS = {
    "No supported gpu backend found!": "use cpu or auto",
    "The strategy `fsdp` requires a GPU accelerator, but received": "strategies/fsdp2.yaml",
    "You requested to check 0.1 of the `val_dataloader` but 0.1 * 1 < 1. Please increase": "0.1 of the 1 validation b",
    "`Timer(duration='10min')` is not a valid duration. Expected": "10min is not a duration (trainer.max_time",
    "Requirement 'transformer_engine>=0.11.0' not met. HINT": "use bf16-mixed",
    "Requirement 'torch_xla>=1.13' not met. HINT": "choose another accelerator",
    "You selected an invalid strategy name: `strategy='dp'`. It must be": "unknown trainer.strategy dp: use auto",
}


@pytest.mark.parametrize(("message", "advice"), LIGHTNING_SAYS.items())
def test_an_error_is_reworded(message: str, advice: str) -> None:
    assert advice in reworded(message)


def test_an_error_without_other_advice_stays() -> None:
    assert reworded("Another error.") == "Another error."


@pytest.mark.parametrize(
    ("flags", "advice"),
    [
        ({"accelerator": "cpu", "strategy": "fsdp"}, "strategies/fsdp2.yaml"),
        ({"accelerator": "cpu", "max_time": "10min"}, "10min is not a duration"),
        ({"accelerator": "cpu", "strategy": "dp"}, "unknown trainer.strategy dp"),
        ({"accelerator": "cpu", "overfit_batches": 0.01, "max_epochs": 1}, "0.01 of the 64 validation batches"),
    ],
)
def test_lightning_still_says_it(flags: dict[str, Any], advice: str) -> None:
    with pytest.raises((MisconfigurationException, ValueError)) as error:
        Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False, **flags).fit(BoringModel())
    assert advice in reworded(" ".join(str(error.value).split()))
