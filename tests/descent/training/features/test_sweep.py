"""Every flag of the Trainer and every callback of Lightning is on the page, which is what happens."""

import inspect

import lightning.pytorch.callbacks
from lightning.pytorch import Trainer

from tests.descent.training.features.callback_cases import CALLBACKS
from tests.descent.training.features.flag_cases import FLAGS
from tests.descent.training.features.sweep import PAGE, page

AGAIN = "add it to the cases, then run: python -m tests.descent.training.features.sweep"


def test_every_flag_is_there() -> None:
    assert set(FLAGS) == set(inspect.signature(Trainer.__init__).parameters) - {"self"}, AGAIN


def test_every_callback_is_there() -> None:
    assert set(CALLBACKS) == set(lightning.pytorch.callbacks.__all__), AGAIN


def test_the_page_is_what_happens() -> None:
    made, problems = page()
    assert not problems
    assert made == PAGE.read_text(encoding="utf-8"), "run: python -m tests.descent.training.features.sweep"
