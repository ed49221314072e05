"""Which runs are done, shared by processes and machines: Optuna's storage, with claims that survive killed workers."""

import contextlib
import fcntl
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from descent.studies.running.one_run import CRASHED, Outcome
from foundation.compat.optuna import record_heartbeat

LIVE = (TrialState.WAITING, TrialState.RUNNING)
MAX_DEATHS = 11
"""A run whose process has died so often is not tried again: it counts as crashed.

Ten kills of a study may all hit one run."""


class StorageError(OSError):
    """The study's storage cannot be read or written."""


class Ledger:
    """The runs of a study.

    A run is an Optuna trial with a key; of several with the same key the first counts. A worker enqueues a run, takes
    the first that waits and writes its outcome. Without a server (SQLite) workers take turns by a lock on a file, and a
    dead one is known by its process; with a server a worker that has shown no sign of life for `3 · heartbeat` seconds
    is taken for dead. Either way the runs of the dead wait for the next worker.

    Args:
        url: Of SQLAlchemy: `sqlite:///…`, `postgresql+psycopg://…`.
        name: Of the study in the storage.
        folder: For the lock.
        heartbeat: Seconds between two signs of life of a worker on a server.

    Raises:
        StorageError: It cannot be reached.
    """

    def __init__(self, url: str, name: str, folder: Path, heartbeat: int = 30) -> None:
        self.url, self.folder, self.heartbeat = url, folder, heartbeat
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{_process_start(os.getpid())}"
        self.serverless = url.startswith("sqlite")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with self._explained(), self._turn():
            self.study = optuna.create_study(study_name=name, storage=self._storage(), load_if_exists=True)

    def _storage(self) -> optuna.storages.RDBStorage:
        if self.serverless:
            return optuna.storages.RDBStorage(self.url, engine_kwargs={"connect_args": {"timeout": 60}})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            for attempt in range(5):  # two workers that create the tables at the same time get in each other's way
                try:
                    return optuna.storages.RDBStorage(
                        self.url,
                        engine_kwargs={"pool_pre_ping": True},
                        heartbeat_interval=self.heartbeat,
                        grace_period=3 * self.heartbeat,
                    )
                except (SQLAlchemyError, RuntimeError):
                    if attempt == 4 or not self._reachable():
                        raise
                    time.sleep(1 + attempt)
        raise AssertionError

    def _reachable(self) -> bool:
        import sqlalchemy

        try:
            with sqlalchemy.create_engine(self.url).connect():
                return True
        except SQLAlchemyError:
            return False

    # -- what is known -------------------------------------------------------------------------------------------------

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """A value that the first worker to ask settles for all: the study's rules, the plan, the number of seeds."""
        with self._explained():
            found = self._settled(name)
            if found is None:
                with self._turn():
                    if self._settled(name) is None:
                        attributes = {"settled": name, "value": make()}
                        self.study.add_trial(optuna.trial.create_trial(state=TrialState.PRUNED, user_attrs=attributes))
                    found = self._settled(name)
            assert found is not None
            return found["value"]

    def settled(self, name: str) -> Any:
        """What was settled under a name, or `None`."""
        with self._explained():
            found = self._settled(name)
        return None if found is None else found["value"]

    def _settled(self, name: str) -> dict[str, Any] | None:
        for trial in self._trials():
            if trial.user_attrs.get("settled") == name:
                return trial.user_attrs
        return None

    def outcomes(self) -> dict[str, Outcome]:
        """Outcome of each finished run, by key."""
        with self._explained():
            trials = self._trials()
        found: dict[str, Outcome] = {}
        deaths: dict[str, int] = {}
        for trial in trials:
            key = trial.user_attrs.get("key")
            if key is None or key in found:
                continue
            if "outcome" in trial.user_attrs:
                found[key] = trial.user_attrs["outcome"]
            elif trial.state == TrialState.FAIL and not trial.user_attrs.get("interrupted"):
                deaths[key] = deaths.get(key, 0) + 1
        for key, count in deaths.items():
            if count >= MAX_DEATHS and key not in found:
                found[key] = {"status": CRASHED, "message": f"its process died {count} times", "score": None}
        return found

    def workers(self) -> set[str]:
        """Who is at work, this worker among them."""
        with self._explained():
            running = [t for t in self._trials() if t.state == TrialState.RUNNING and "outcome" not in t.user_attrs]
        return {str(t.user_attrs["worker"]) for t in running if "worker" in t.user_attrs} | {self.worker}

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    # -- what is done --------------------------------------------------------------------------------------------------

    def work(self, ready: list[str], run: Callable[[str], Outcome]) -> Literal["ran", "busy"]:
        """Do one of the runs that are ready, or find that others are at all of them."""
        with self._explained():
            turn = contextlib.ExitStack()
            turn.enter_context(self._turn())
            with turn:
                self._bury_the_dead()
                taken = {t.user_attrs["key"] for t in self._trials() if "key" in t.user_attrs and _counts(t)}
                key = next((key for key in ready if key not in taken), None)
                if key is not None:
                    self.study.enqueue_trial({}, user_attrs={"key": key})
                elif not any(t.state == TrialState.WAITING for t in self._trials()):
                    return "busy"
                self.study.optimize(lambda trial: self._objective(trial, run, turn), n_trials=1)
        return "ran"

    def _objective(self, trial: optuna.Trial, run: Callable[[str], Outcome], turn: contextlib.ExitStack) -> float:
        key = trial.user_attrs.get("key")
        if key is None or self._first_of(key) != trial.number:
            turn.close()
            raise optuna.TrialPruned  # another worker has it
        if not self.serverless:  # before signing: one who signed and showed no sign of life would never count as dead
            record_heartbeat(trial)
        trial.set_user_attr("worker", self.worker)
        turn.close()  # the others may choose now
        try:
            outcome = run(key)
        except KeyboardInterrupt:
            trial.set_user_attr("interrupted", True)
            raise
        trial.set_user_attr("outcome", {**outcome, "worker": self.worker, "ended": _now()})
        if outcome["score"] is None:
            raise optuna.TrialPruned
        return float(outcome["score"])

    def _first_of(self, key: str) -> int:
        return min(t.number for t in self._trials() if t.user_attrs.get("key") == key and _counts(t))

    def _bury_the_dead(self) -> None:
        if not self.serverless:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                optuna.storages.fail_stale_trials(self.study)
        for trial in self._trials():
            if trial.state == TrialState.RUNNING and self._is_dead(trial):
                with contextlib.suppress(UpdateFinishedTrialError, ValueError):
                    self.study.tell(trial.number, state=TrialState.FAIL)

    def _is_dead(self, trial: FrozenTrial) -> bool:
        worker = trial.user_attrs.get("worker")
        if worker is None:  # killed between taking the run and signing for it
            started = trial.datetime_start
            age = (datetime.now() - started).total_seconds() if started else 0.0
            return self.serverless or age > 3 * self.heartbeat
        host, pid, start = str(worker).rsplit(":", 2)
        return host == socket.gethostname() and _process_start(int(pid)) != start

    # -- turns and errors ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """With SQLite, which does not lock rows: one worker at a time."""
        if not self.serverless:
            yield
            return
        with (self.folder / "study.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, StorageInternalError, ImportError) as error:
            cause = error.__cause__ or error
            reason = " ".join(str(getattr(cause, "orig", cause) or cause).split())[:300]
            raise StorageError(
                f"the study's storage {_without_password(self.url)} does not work: {reason.rstrip('. ')}. "
                "Check that it can be reached and written to; what is finished is kept, the same command goes on."
            ) from error


def _counts(trial: FrozenTrial) -> bool:
    return trial.state in LIVE or "outcome" in trial.user_attrs


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url

    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "(an URL that SQLAlchemy does not understand)"


def _process_start(pid: int) -> str:
    """What tells a process from a later one with the same number; empty for one that is not there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        state, *fields = text.rpartition(")")[2].split()
        return "" if state in "ZX" else fields[18]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:  # a system without /proc
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
