"""Lightning still asks the bar for its description by this name."""

import inspect
import io
import logging
import pickle
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.utilities import rank_zero_info
from rich import reconfigure

from foundation.compat.lightning_progress import LabelledBar


def test_lightning_asks_for_the_description() -> None:
    assert "self._get_train_description(trainer.current_epoch)" in inspect.getsource(RichProgressBar)


def test_the_log_is_written_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    before, redirected = Terminal(), Terminal()
    handler = logging.StreamHandler(before)
    monkeypatch.setattr(logging.getLogger("lightning.pytorch"), "handlers", [handler])
    monkeypatch.setattr(RichProgressBar, "_init_progress", lambda *_: monkeypatch.setattr(sys, "stderr", redirected))
    bar: Any = LabelledBar()
    bar._init_progress(None)
    assert handler.stream is redirected
    pickle.dumps(bar.__getstate__()["_streams"])
    bar._stop_progress()
    assert handler.stream is before


@pytest.fixture
def _own_console() -> Iterator[None]:
    """Give rich its usual console back; a bar with `console_kwargs` changes that of the whole process."""
    yield
    reconfigure()


@pytest.mark.usefixtures("_own_console")
@pytest.mark.parametrize("fault", [None, RuntimeError("the disk is full")])
def test_a_line_of_the_log_is_above_the_bar_of_a_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Exception | None
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    class Says(Callback):
        def on_train_batch_start(self, *args: Any) -> None:
            rank_zero_info("a line of the log")
            if fault is not None:
                raise fault

    terminal, above = Terminal(), io.StringIO()
    handler = logging.StreamHandler(terminal)
    monkeypatch.setattr(logging.getLogger("lightning.pytorch"), "handlers", [handler])
    monkeypatch.setattr(sys, "stderr", terminal)
    trainer = Trainer(
        callbacks=[Says(), LabelledBar(console_kwargs={"file": above, "force_terminal": True})],
        accelerator="cpu", max_steps=1, limit_val_batches=0, logger=False, enable_checkpointing=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    with nullcontext() if fault is None else pytest.raises(RuntimeError, match="the disk is full"):
        trainer.fit(BoringModel())
    assert "a line of the log" in above.getvalue()
    assert "a line of the log" not in terminal.getvalue()
    assert handler.stream is sys.stderr is terminal


@pytest.mark.parametrize(("most", "text"), [(15, "epoch 1/15"), (-1, "epoch 1"), (None, "epoch 1")])
def test_epochs_are_counted_from_one(most: Any, text: str) -> None:
    bar: Any = LabelledBar()
    bar._trainer = SimpleNamespace(max_epochs=most)
    assert bar._get_train_description(0).strip() == text
    assert len(bar._get_train_description(0)) >= len(bar.validation_description)
