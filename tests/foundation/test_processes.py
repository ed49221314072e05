import time

import pytest

from foundation.processes import INTERVAL, ProgressLines


def test_stages_and_now_and_then_a_position(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = ProgressLines("find-lr")
    progress.start("pass 1 of 3")
    progress.at("step 1")
    now = INTERVAL
    progress.at("step 70")
    progress.at("step 71")
    assert capsys.readouterr().err == "find-lr: pass 1 of 3\nfind-lr: pass 1 of 3, step 70\n"
