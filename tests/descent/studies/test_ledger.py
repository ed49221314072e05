"""Several workers, some of them killed: no run is lost, none is run twice."""

import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from descent import compare
from descent.studies.running.ledger import MAX_STOPS, Ledger
from tests.descent.studies.synthetic import outcome
from tests.descent.studies.toy import toy_study

ROOT = Path(__file__).parents[3]
CONTEXT = multiprocessing.get_context("fork")  # everything is imported
KEYS = [f"tune/{index}/c" for index in range(12)]
CLOCKS = ["seconds_to_target", "seconds", "share_data", "share_forward", "share_backward", "share_step"]


def ledger(folder: Path, url: str | None = None, **options: Any) -> Ledger:
    return Ledger(url or f"sqlite:///{folder / 'study.db'}", "toy", folder, **options)


def work_off(folder: str, url: str | None, log: str) -> None:
    """A worker that notes each run in a file."""
    own = ledger(Path(folder), url)

    def run(key: str) -> dict[str, Any]:
        with Path(log).open("a") as file:
            file.write(f"{key}\n")
        time.sleep(0.02)
        return outcome(0.5)

    while missing := [key for key in KEYS if key not in own.outcomes()]:
        if own.run_next(missing, run) == "busy":
            time.sleep(0.05)


def run_together(folder: Path, url: str | None = None, count: int = 3) -> list[str]:
    log = folder / "log"
    workers = [CONTEXT.Process(target=work_off, args=(str(folder), url, str(log))) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    return log.read_text().split()


def test_several_processes_share_the_runs_and_repeat_none(tmp_path: Path) -> None:
    assert sorted(run_together(tmp_path)) == sorted(KEYS)
    assert set(ledger(tmp_path).outcomes()) == set(KEYS)


def test_a_stored_value_is_not_replaced(tmp_path: Path) -> None:
    first, second = ledger(tmp_path), ledger(tmp_path)
    assert first.get("plan") is None
    assert first.get_or_set("plan", lambda: {"seeds": 8}) == {"seeds": 8}
    assert second.get_or_set("plan", lambda: {"seeds": 99}) == {"seeds": 8}


def die(key: str) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def in_a_process(target: Callable[..., None], *args: Any) -> None:
    process = CONTEXT.Process(target=target, args=args)
    process.start()
    process.join(60)


def kill_one(folder: str) -> None:
    ledger(Path(folder)).run_next(["tune/0/c"], die)


def test_the_runs_of_a_killed_process_are_repeated_and_at_last_given_up(tmp_path: Path) -> None:
    in_a_process(kill_one, str(tmp_path))
    own = ledger(tmp_path)
    assert own.outcomes() == {}
    assert own.workers() - {own.worker}, "the dead worker is still listed"
    assert own.run_next(["tune/0/c"], lambda key: outcome(0.5)) == "ran"
    assert own.outcomes()["tune/0/c"]["score"] == 0.5
    for count in range(MAX_STOPS):
        assert "tune/1/c" not in own.outcomes(), count
        trial = own.study.ask()
        trial.set_user_attr("key", "tune/1/c")
        trial.set_user_attr("worker", "elsewhere:1:1")
        own.study.tell(trial, state=optuna.trial.TrialState.FAIL)
    assert own.outcomes()["tune/1/c"]["message"] == f"its process died {MAX_STOPS} times"


def test_a_run_that_killed_its_process_twice_is_given_up(tmp_path: Path) -> None:
    own, cause = ledger(tmp_path), "SIGKILL; it printed last: out of memory"
    own.note_death("a:0", "tune/1/c", cause)
    own.note_death("a:0", "tune/1/c", cause)  # the same one, noted by a child that was started again
    assert own.outcomes() == {}
    own.note_death("a:1", "tune/1/c", cause)
    assert own.outcomes()["tune/1/c"]["message"] == f"its process died 2 times, the last time of {cause}"


def test_ctrl_c_does_not_count_as_a_death(tmp_path: Path) -> None:
    own = ledger(tmp_path)

    def interrupt(key: str) -> dict[str, Any]:
        raise KeyboardInterrupt

    for _ in range(MAX_STOPS + 1):
        with pytest.raises(KeyboardInterrupt):
            own.run_next(["tune/0/c"], interrupt)
    assert own.outcomes() == {}
    assert own.run_next(["tune/0/c"], lambda key: outcome(0.5)) == "ran"


def test_a_study_killed_four_times_ends_with_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    study = toy_study(tmp_path, pause=0.03, trials=3, seeds=8)
    whole = compare(study, out=tmp_path / "whole", verbose=False)
    assert whole is not None
    folder = tmp_path / "killed"
    for kills in range(0, 12, 3):
        before = finished(folder)
        process = CONTEXT.Process(target=compare_quietly, args=(study, folder))
        process.start()
        while process.is_alive() and finished(folder) <= before:
            time.sleep(0.02)
        time.sleep(0.04 * kills)  # at different points of a run
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it was done before it was killed"
    result = compare(study, out=folder, verbose=False)
    assert result is not None
    assert result.verdict == whole.verdict
    pd.testing.assert_frame_equal(result.table.drop(columns=CLOCKS), whole.table.drop(columns=CLOCKS))
    assert len(result.runs) == len(whole.runs)
    trials = [t for t in ledger(folder).study.trials if "outcome" in t.user_attrs]
    assert len(trials) == len(whole.runs), "a finished run was repeated"


def compare_quietly(study: dict[str, Any], folder: Path) -> None:
    os.chdir(ROOT)
    compare(study, out=folder, verbose=False)


def finished(folder: Path) -> int:
    if not (folder / "study.db").exists():
        return 0
    connection = sqlite3.connect(f"file:{folder / 'study.db'}?mode=ro", uri=True, timeout=10)
    try:
        return int(connection.execute("select count(*) from trial_user_attributes where key = 'outcome'").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are not there yet
        return 0
    finally:
        connection.close()
