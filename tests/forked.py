"""Commands in forks of a test: as fresh processes, in a fraction of a second, with everything imported."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkstemp

from cli import main

PATIENCE = 300  # seconds for what takes ten on an idle machine


class Forked:
    """A command of Descent in a fork; in part the interface of `subprocess.Popen`."""

    def __init__(self, words: list[str]) -> None:
        number, path = mkstemp(suffix=".log")
        self.returncode: int | None = None
        self.errors, self._process = Path(path), os.fork()
        if self._process:
            os.close(number)
            return
        code = 1
        try:
            os.dup2(number, 1)
            os.dup2(number, 2)
            sys.stdout = sys.stderr = os.fdopen(number, "w", buffering=1)
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

    def kill(self) -> None:
        os.kill(self._process, signal.SIGKILL)

    def communicate(self) -> tuple[str, str]:
        """Wait for the end; return nothing and what the command printed."""
        until = time.monotonic() + PATIENCE
        while self.poll() is None:
            if time.monotonic() > until:
                self.kill()
            time.sleep(0.002)
        return "", self.errors.read_text()


def status_of(words: Sequence[str]) -> int:
    """Run a command; return its exit code, and print the traceback of an unexpected error."""
    try:
        main(list(words))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
