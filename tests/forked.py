"""Commands in forks of a test: as fresh processes, in a fraction of a second, with everything imported."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkstemp
from typing import NoReturn

from lightning.pytorch.utilities import rank_zero_only

import cli
from foundation.processes import rank_of_process

PATIENCE = 300  # seconds for what takes ten on an idle machine


class Forked:
    """A command of Descent in a fork; in part the interface of `subprocess.Popen`.

    Args:
        words: The command line.
        environment: Variables that the command has beside those of the test.
    """

    def __init__(self, words: list[str], **environment: str) -> None:
        number, path = mkstemp(suffix=".log")
        self.returncode: int | None = None
        gc.freeze()  # a fork's collector would otherwise copy every page
        self.errors, self._process = Path(path), os.fork()
        if self._process:
            gc.unfreeze()
            os.close(number)
        else:
            self._run(words, environment, number)

    def _run(self, words: list[str], environment: dict[str, str], log: int) -> NoReturn:
        code = 1
        try:
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.stdout = sys.stderr = os.fdopen(log, "w", buffering=1)
            os.environ.update(environment)
            rank_zero_only.rank = rank_of_process()  # type: ignore[attr-defined]  # Lightning reads it when imported
            self.prepare()
            code = status_of(words)
            sys.stdout.flush()
        finally:
            os._exit(code)

    def prepare(self) -> None:
        """Do what the fork needs before the command."""

    def poll(self) -> int | None:
        if self.returncode is None:
            process, status = os.waitpid(self._process, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if process else None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self._process, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, str]:
        """Wait for the end; return nothing and what the command printed."""
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                self.kill()
            time.sleep(0.002)
        return "", self.errors.read_text()


def ranks(words: list[str], port: int, count: int = 2, **environment: str) -> list[Forked]:
    """Start a command as `torchrun --nproc-per-node COUNT` does: a process a rank, which meet at a port."""
    common = {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "GROUP_RANK": "0"}
    return [Forked(words, **common, RANK=str(rank), LOCAL_RANK=str(rank), **environment) for rank in range(count)]


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def status_of(words: Sequence[str]) -> int:
    """Run a command in a fork; return its exit code, and print the traceback of an unexpected error."""
    # What Lightning starts again for a second process; otherwise it would be the whole program that runs the tests.
    sys.argv, sys.modules["__main__"].__spec__ = [cli.__file__, *words], None
    try:
        cli.main(list(words))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
