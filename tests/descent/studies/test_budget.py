"""A budget is a limit: studies on a clock of their own, whose machine gets slower while they run."""

import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from descent.studies.running import budget as budget_module
from descent.studies.running.budget import Budget
from descent.studies.running.pilot import check_pilot, costs_of
from descent.studies.running.recorder import StudyError
from descent.studies.running.stages import Progress, RunKey
from descent.studies.running.worker import Worker
from descent.studies.study_config import StudyConfig
from tests.descent.studies.synthetic import outcome, study


class Clock:
    """Time that passes only while runs run."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class MemoryLedger:
    """Stores a study of one worker in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] = {}
        self.found: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        return self.stored.get(name)

    def get_or_set(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.stored:
            self.stored[name] = make()
        return self.stored[name]

    def outcomes(self) -> dict[str, Any]:
        return dict(self.found)

    def workers(self) -> set[str]:
        return {"me"}

    def run_next(self, ready: list[str], run: Callable[[str], Any]) -> Literal["ran"]:
        self.found[ready[0]] = run(ready[0])
        return "ran"


def run_on(
    clock: Clock,
    config: StudyConfig,
    seconds: float,
    costs: dict[str, float],
    slower: float,
    monkeypatch: Any,
    after: float = 0.5,
) -> Progress:
    """Run a study in which a run costs so many seconds, and after a share of the budget `slower` times as many."""
    monkeypatch.setattr(budget_module, "time", clock)
    worker: Worker

    def run(text: str) -> dict[str, Any]:
        key = RunKey.parse(text)
        cost = costs[key.candidate] * (slower if clock.now > after * seconds else 1.0)
        clock.now += cost
        point = Progress(config, ledger.outcomes(), defaults).point(key, worker._trials())
        noise = np.random.default_rng(zlib.crc32(text.encode())).normal(0, 0.05)  # too much for any decision
        return outcome(0.8 + noise, point=point, wall=cost)

    ledger, defaults = MemoryLedger(), {name: config.defaults(name) for name in config.names}
    worker = Worker(config, ledger, defaults, Budget(seconds, 0.0), lambda line: None)  # type: ignore[arg-type]
    monkeypatch.setattr(worker, "_run", run)
    return worker.run()


KINDS: dict[str, tuple[dict[str, Any], float, dict[str, float]]] = {
    "tuned in rounds": ({}, 150.0, {"AdamW": 1.0, "SGD": 1.0, "Momentum": 1.0}),
    "tuned once": ({"tuning": "once"}, 60.0, {"AdamW": 0.8, "SGD": 0.8, "Momentum": 0.8}),
    "not tuned": ({"trials": 1}, 30.0, {"AdamW": 0.6, "SGD": 0.6, "Momentum": 0.6}),
    "one slow candidate": ({"trials": 3}, 240.0, {"AdamW": 0.5, "SGD": 3.0, "Momentum": 0.5}),
    "long runs": ({"tuning": "once", "trials": 3}, 900.0, {"AdamW": 12.0, "SGD": 12.0, "Momentum": 12.0}),
}


@pytest.mark.parametrize("slower", [0.7, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_study_ends_within_its_budget_and_uses_it(kind: str, slower: float, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, seconds, costs = KINDS[kind]
    clock = Clock()
    run_on(clock, study(**changes), seconds, costs, slower, monkeypatch)
    a_round = sum(costs.values()) * slower * 6
    assert clock.now <= 1.05 * seconds
    assert clock.now >= min(0.85 * seconds, seconds - a_round)


def test_a_round_that_cannot_be_finished_because_the_machine_got_slower_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    progress = run_on(clock, study(), 200.0, {"AdamW": 1.0, "SGD": 1.0, "Momentum": 1.0}, 6.0, monkeypatch, after=0.75)
    assert clock.now <= 1.05 * 200.0
    assert progress.outcomes, "what is finished counts"


def test_a_budget_that_start_and_report_alone_exceed_is_refused_before_the_first_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    clock.now = 28.0
    with pytest.raises(StudyError, match=r"30 s is too small: .* start and report alone take 31 s\. Use --budget 2m"):
        run_on(clock, study(), 30.0, dict.fromkeys(("AdamW", "SGD", "Momentum"), 1.0), 1.0, monkeypatch)
    assert clock.now == 28.0


def test_more_is_kept_for_the_report_where_the_machine_got_slower() -> None:
    budget = Budget(100.0, 0.0)
    before = budget.reserve
    for seconds in (1.0, 1.0, 1.1, 4.0, 4.0, 4.0):
        budget.observe_run("A", seconds)
    assert budget.reserve == pytest.approx(4 * before)
    budget.observe_check(100.0, 2)
    assert budget.reserve == 12 * before, "but not more than that"


def test_the_first_run_which_is_slower_than_the_others_does_not_make_a_budget_too_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, clock = study(), Clock()
    monkeypatch.setattr(budget_module, "time", clock)
    defaults = {name: config.defaults(name) for name in config.names}
    budget = Budget(40.0, 0.0)
    keys = [str(key) for key in Progress(config, {}, defaults).pilot()]
    walls = [3.0, 0.3, 0.3, 0.3, 0.5]
    outcomes = {key: outcome(0.9, wall=wall) for key, wall in zip(keys, walls, strict=False)}
    for count in range(1, 6):
        check_pilot(Progress(config, dict(list(outcomes.items())[:count]), defaults), budget, 1)
    assert costs_of(Progress(config, outcomes, defaults))["AdamW"] == 0.3
    slow = {key: outcome(0.9, wall=3.0) for key in keys[:2]}
    with pytest.raises(StudyError, match="a budget of 40 s is too small: the smallest study"):
        check_pilot(Progress(config, slow, defaults), budget, 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell; then it is now")
def test_a_budget_begins_when_the_process_was_started() -> None:
    code = "import time; time.sleep(0.5); from descent.studies.running.budget import process_start as p; print(p())"
    before = time.monotonic()
    started = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert before - 0.05 <= started < time.monotonic() - 0.4
