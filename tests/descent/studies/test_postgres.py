"""A real PostgreSQL server, started for the tests: several workers, a killed one, an unreachable server."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from descent.studies.running.ledger import Ledger, StorageError
from tests.descent.studies.synthetic import outcome
from tests.descent.studies.test_ledger import CONTEXT, KEYS, die, ledger, run_together

pytestmark = pytest.mark.postgres


def binary(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a socket in a folder of its own, no port; as user postgres, since it refuses to run as root."""
    initdb, ctl = binary("initdb"), binary("pg_ctl")
    assert initdb is not None, "apt-get install postgresql"
    assert ctl is not None
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path("/tmp") / f"descent_pg_{os.getpid()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    drop = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    data = str(folder / "data")
    subprocess.run([*drop, initdb, "-D", data, "-A", "trust", "-U", user], check=True, stdout=subprocess.DEVNULL)
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    subprocess.run(
        [*drop, ctl, "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"postgresql+psycopg://{user}@/postgres?host={folder}"
    finally:
        subprocess.run([*drop, ctl, "-D", data, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


def test_workers_share_the_runs_and_repeat_none(url: str, tmp_path: Path) -> None:
    assert sorted(run_together(tmp_path, url)) == sorted(KEYS)
    assert set(ledger(tmp_path, url).outcomes()) == set(KEYS)


def die_with_a_run(folder: str, url: str) -> None:
    Ledger(url, "deaths", Path(folder), heartbeat=1).run_next(["tune/0/c"], die)


def test_the_run_of_a_worker_killed_on_another_machine_is_picked_up(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = CONTEXT.Process(target=die_with_a_run, args=(str(tmp_path), url))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    monkeypatch.setattr("socket.gethostname", lambda: "another-machine")  # whose processes cannot be looked up
    own = Ledger(url, "deaths", tmp_path, heartbeat=1)
    assert own.run_next(["tune/0/c"], lambda key: outcome(0.5)) == "busy", "it may still be alive"
    deadline = time.monotonic() + 30
    while own.run_next(["tune/0/c"], lambda key: outcome(0.5)) == "busy":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert own.outcomes()["tune/0/c"]["score"] == 0.5


def test_a_run_longer_than_the_grace_is_left_to_its_worker(url: str, tmp_path: Path) -> None:
    own, other = (Ledger(url, "long", tmp_path, heartbeat=1) for _ in range(2))

    def long(key: str) -> dict[str, object]:
        time.sleep(5)
        assert other.run_next([key], lambda _: outcome(0.9)) == "busy"
        return outcome(0.5)

    assert own.run_next(["tune/0/c"], long) == "ran"
    assert own.outcomes()["tune/0/c"]["score"] == 0.5


def test_a_server_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"postgresql\+psycopg://postgres@/postgres\?host=.* does not work: connect"):
        Ledger("postgresql+psycopg://postgres@/postgres?host=/nowhere", "x", tmp_path)
