"""Lightning still asks the bar for its description by this name."""

import inspect
import io
import logging
import pickle
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import RichProgressBar

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


@pytest.mark.parametrize(("most", "text"), [(15, "epoch 1/15"), (-1, "epoch 1"), (None, "epoch 1")])
def test_epochs_are_counted_from_one(most: Any, text: str) -> None:
    bar: Any = LabelledBar()
    bar._trainer = SimpleNamespace(max_epochs=most)
    assert bar._get_train_description(0).strip() == text
    assert len(bar._get_train_description(0)) >= len(bar.validation_description)
