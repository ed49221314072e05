"""How far a run is and how long the rest takes, against a clock of the test."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import Timer

from callbacks.reporting.pace import Pace, epochs_done, share_done


def trainer(done: float, batches: float = 10, **limits: Any) -> Any:
    """Return a trainer after so many epochs."""
    whole, part = int(done), round((done % 1) * 10)
    epochs = SimpleNamespace(ready=whole + (part > 0), completed=whole, processed=whole)
    batch = SimpleNamespace(ready=part)
    loop = SimpleNamespace(batch_progress=SimpleNamespace(current=batch))
    progress = SimpleNamespace(current=epochs)
    given = {"max_epochs": -1, "max_steps": -1, "global_step": int(done * 10), "callbacks": []} | limits
    return SimpleNamespace(
        num_training_batches=batches, fit_loop=SimpleNamespace(epoch_progress=progress, epoch_loop=loop), **given
    )


def test_how_far_a_run_is() -> None:
    assert [epochs_done(trainer(done)) for done in (0.0, 2.3, 3.0)] == [0.0, 2.3, 3.0]
    assert epochs_done(trainer(2.3, batches=float("inf"))) == 2.0  # the length of an epoch is not known
    assert share_done(trainer(2.5, max_epochs=10)) == 0.25
    assert share_done(trainer(2.5, max_epochs=10, max_steps=50)) == 0.5  # whichever limit comes first
    assert share_done(trainer(2.5)) is None


def test_the_time_left_leaves_out_the_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace()
    seen = []
    for now, done in ((100.0, 0.0), (160.0, 1.0), (170.0, 2.0), (180.0, 3.0)):
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        run = trainer(done, max_epochs=10)
        (pace.note_row if done else pace.start)(run)
        seen.append(pace.left(run))
    assert seen == [None, pytest.approx(60 * 9), pytest.approx(10 * 8), pytest.approx(10 * 7)]


def test_a_timer_ends_a_run_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Timer(duration={"seconds": 30})
    pace, run = Pace(), trainer(0.0, max_epochs=10, callbacks=[timer])
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    pace.start(run)
    assert pace.left(run) is None, "the timer has not started"
    timer.on_train_start(SimpleNamespace(), None)  # type: ignore[arg-type]
    monkeypatch.setattr(time, "monotonic", lambda: 110.0)
    assert pace.left(trainer(1.0, max_epochs=10, callbacks=[timer])) == pytest.approx(20.0)
    monkeypatch.setattr(time, "monotonic", lambda: 130.0)
    assert pace.left(trainer(2.0, max_epochs=10, callbacks=[timer])) == 0.0
    assert pace.left(trainer(2.0, callbacks=[Timer()])) is None
