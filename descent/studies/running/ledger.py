"""The runs of a study in Optuna's storage, shared by processes and machines; survives killed workers."""

import contextlib
import fcntl
import os
import socket
import time
import warnings
from collections import Counter
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
MAX_DEATHS = 2
"""A run that killed its process this often counts as crashed and is not tried again: the second time is no accident."""
MAX_STOPS = 11
"""So does a run that was unfinished whenever the study as a whole was killed, which says less about the run."""


class StorageError(OSError):
    """The study's storage cannot be read or written."""


class Ledger:
    """Store a study's runs, and hand each of them to one worker.

    Each run is an Optuna trial; the user attribute `key` names the run, and if several trials have the same key the
    first one counts. A worker enqueues a trial, takes the first one that waits, and stores its outcome as an attribute.

    With SQLite, workers exclude each other by a lock on a file, and a worker is dead if its process no longer exists.
    With a database server, a worker is dead if it has sent no heartbeat for `3 · heartbeat` seconds. In both cases the
    runs of dead workers are run again by the next worker.

    Args:
        url: SQLAlchemy URL: `sqlite:///…`, `postgresql+psycopg://…`.
        name: Name of the study in the storage.
        folder: Folder of the lock file.
        heartbeat: Seconds between two heartbeats of a worker, with a server.

    Raises:
        StorageError: The storage cannot be reached.
    """

    def __init__(self, url: str, name: str, folder: Path, heartbeat: int = 30) -> None:
        self.url, self.folder, self.heartbeat = url, folder, heartbeat
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{_process_start(os.getpid())}"
        self.serverless = url.startswith("sqlite")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with self._storage_errors(), self._lock():
            self.study = optuna.create_study(study_name=name, storage=self._storage(), load_if_exists=True)

    def _storage(self) -> optuna.storages.RDBStorage:
        if self.serverless:
            return optuna.storages.RDBStorage(self.url, engine_kwargs={"connect_args": {"timeout": 60}})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            for attempt in range(5):  # it fails if two workers create the tables at the same time
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

    # -- read ----------------------------------------------------------------------------------------------------------

    def get_or_set(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the value stored under a name; if there is none, store what `make` returns, for all workers.

        Used for the study's rules (`rules`), its plan (`plan`) and the number of final runs (`seeds`).
        """
        with self._storage_errors():
            if self._find(name) is None:
                with self._lock():
                    if self._find(name) is None:
                        attributes = {"settled": name, "value": make()}
                        self.study.add_trial(optuna.trial.create_trial(state=TrialState.PRUNED, user_attrs=attributes))
            return self.get(name)

    def get(self, name: str) -> Any:
        """Return the value stored under a name, or `None`."""
        with self._storage_errors():
            found = self._find(name)
        return None if found is None else found["value"]

    def _find(self, name: str) -> dict[str, Any] | None:
        return next((t.user_attrs for t in self._trials() if t.user_attrs.get("settled") == name), None)

    def outcomes(self) -> dict[str, Outcome]:
        """Return the outcome of each finished run, by key."""
        with self._storage_errors():
            trials = self._trials()
        found: dict[str, Outcome] = {}
        stops: Counter[str] = Counter()
        causes: dict[str, list[str]] = {}
        for trial in trials:
            if "death" in trial.user_attrs:
                causes.setdefault(trial.user_attrs["death"], []).append(trial.user_attrs["cause"])
            key = trial.user_attrs.get("key")
            if key is None or key in found:
                continue
            if "outcome" in trial.user_attrs:
                found[key] = trial.user_attrs["outcome"]
            elif trial.state == TrialState.FAIL and not trial.user_attrs.get("interrupted"):
                stops[key] += 1
        for key in (stops.keys() | causes.keys()) - found.keys():
            own = causes.get(key, [])
            if len(own) >= MAX_DEATHS or stops[key] >= MAX_STOPS:
                message = f"its process died {max(len(own), stops[key])} times"
                message += f", the last time of {own[-1]}" if own else ""
                found[key] = {"status": CRASHED, "message": message, "score": None, "test": {}}
        return found

    def note_death(self, number: str, key: str, cause: str) -> None:
        """Store of what the process of a run died, unless it is stored under this number."""
        with self._storage_errors(), self._lock():
            attributes = {"death": key, "cause": cause, "number": number}
            if not any(t.user_attrs == attributes for t in self._trials()):
                self.study.add_trial(optuna.trial.create_trial(state=TrialState.PRUNED, user_attrs=attributes))

    def workers(self) -> set[str]:
        """Return the workers that are running something, and this one."""
        with self._storage_errors():
            running = [t for t in self._trials() if t.state == TrialState.RUNNING and "outcome" not in t.user_attrs]
        return {str(t.user_attrs["worker"]) for t in running if "worker" in t.user_attrs} | {self.worker}

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    # -- run -----------------------------------------------------------------------------------------------------------

    def run_next(self, ready: list[str], run: Callable[[str], Outcome]) -> Literal["ran", "busy"]:
        """Take one of the runs that are ready, and run it.

        Args:
            ready: Keys of the runs that can start, the most urgent first.
            run: Runs the run of a key and returns its outcome.

        Returns:
            `ran`, or `busy` if other workers are running all of them.
        """
        with self._storage_errors():
            lock = contextlib.ExitStack()
            lock.enter_context(self._lock())
            with lock:
                self._fail_stale_runs()
                taken = {t.user_attrs["key"] for t in self._trials() if "key" in t.user_attrs and _counts(t)}
                key = next((key for key in ready if key not in taken), None)
                if key is not None:
                    self.study.enqueue_trial({}, user_attrs={"key": key})
                elif not any(t.state == TrialState.WAITING for t in self._trials()):
                    return "busy"
                self.study.optimize(lambda trial: self._objective(trial, run, lock), n_trials=1)
        return "ran"

    def _objective(self, trial: optuna.Trial, run: Callable[[str], Outcome], lock: contextlib.ExitStack) -> float:
        key = trial.user_attrs.get("key")
        if key is None or self._first_of(key) != trial.number:
            lock.close()
            raise optuna.TrialPruned  # another worker has it
        if not self.serverless:  # before the worker's name: a named worker without any heartbeat would never be dead
            record_heartbeat(trial)
        trial.set_user_attr("worker", self.worker)
        lock.close()  # the choice is stored: others may choose while this run runs
        try:
            outcome = run(key)
        except KeyboardInterrupt:
            trial.set_user_attr("interrupted", True)
            raise
        ended = datetime.now().astimezone().isoformat(timespec="seconds")
        trial.set_user_attr("outcome", {**outcome, "worker": self.worker, "ended": ended})
        if outcome["score"] is None:
            raise optuna.TrialPruned
        return float(outcome["score"])

    def _first_of(self, key: str) -> int:
        return min(t.number for t in self._trials() if t.user_attrs.get("key") == key and _counts(t))

    def _fail_stale_runs(self) -> None:
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
        if worker is None:  # killed after it took the run, before it stored its name
            started = trial.datetime_start
            age = (datetime.now() - started).total_seconds() if started else 0.0
            return self.serverless or age > 3 * self.heartbeat
        host, pid, start = str(worker).rsplit(":", 2)
        return host == socket.gethostname() and _process_start(int(pid)) != start

    # -- lock and errors -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Exclude other workers, with SQLite only: it has no row locks."""
        if not self.serverless:
            yield
            return
        with (self.folder / "study.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, StorageInternalError, ImportError) as error:
            cause = error.__cause__ or error
            reason = " ".join(str(getattr(cause, "orig", cause) or cause).split())[:300]
            raise StorageError(
                f"the study's storage {_without_password(self.url)} does not work: {reason.rstrip('. ')}. "
                "Check that it can be reached and written to. Finished runs are saved; the same command continues."
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
    """Return the start time of a process, which tells it from a later one with the same number; empty if it is gone."""
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
