"""Lightning still asks the bar for its description by this name."""

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import RichProgressBar

from foundation.compat.lightning_progress import LabelledBar


def test_lightning_asks_for_the_description() -> None:
    assert "self._get_train_description(trainer.current_epoch)" in inspect.getsource(RichProgressBar)


@pytest.mark.parametrize(("most", "text"), [(15, "epoch 1/15"), (-1, "epoch 1"), (None, "epoch 1")])
def test_epochs_are_counted_from_one(most: Any, text: str) -> None:
    bar: Any = LabelledBar()
    bar._trainer = SimpleNamespace(max_epochs=most)
    assert bar._get_train_description(0).strip() == text
    assert len(bar._get_train_description(0)) >= len(bar.validation_description)
