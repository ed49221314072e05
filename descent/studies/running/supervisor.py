"""Run a study in a child process that starts again when a run kills it: one candidate cannot end a study."""

import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOTE, DEATHS = "DESCENT_STUDY_NOTE", "DESCENT_STUDY_DEATHS"
"""Environment variables of the child: the file that holds the key of the current run; the deaths so far, as JSON."""
LAST_LINES = 5
ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals by which somebody ends the study; after others it goes on."""
PR_SET_PDEATHSIG = 1


def supervise() -> None:
    """Continue in a child process; this process waits for it, starts it again after a run killed it, and then exits.

    Nothing happens where processes cannot be forked safely: on other systems than Linux, or after torch was imported,
    whose threads a fork does not copy.

    Raises:
        SystemExit: In the waiting process, with the exit code of the child.
    """
    if not sys.platform.startswith("linux") or "torch" in sys.modules or NOTE in os.environ:
        return
    sys.stdout.flush()
    deaths: list[tuple[str, str]] = []
    note = Path(tempfile.mkdtemp()) / "run"  # a TemporaryDirectory would be removed by the first child that ends
    try:
        while True:
            note.write_text("")
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(reading)
                _begin_child(writing, note, deaths)
                return
            os.close(writing)
            code, killed_by, lines = _wait(child, reading)
            key = note.read_text()
            if killed_by is None or killed_by in ASKED or not key:
                raise SystemExit(code)
            deaths.append((key, describe(signal.Signals(killed_by), lines)))
            print(f"run {key} ended the process by {deaths[-1][1]}; a new one continues.", file=sys.stderr)
    finally:
        if os.environ.get(NOTE) != str(note):  # in the waiting process
            shutil.rmtree(note.parent, ignore_errors=True)


def _begin_child(errors: int, note: Path, deaths: list[tuple[str, str]]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no orphan goes on if this process's parent is killed
    os.dup2(errors, 2)
    os.close(errors)
    os.environ[NOTE], os.environ[DEATHS] = str(note), json.dumps(deaths)


def _wait(child: int, errors: int) -> tuple[int, int | None, list[str]]:
    """Pass the child's error output on; return its exit code, the signal that ended it, and its last lines."""
    lines: deque[str] = deque(maxlen=LAST_LINES)
    with _signals_passed_to(child):
        with os.fdopen(errors, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                sys.stderr.write(line)
                sys.stderr.flush()
                if line.strip():
                    lines.append(line.strip())
        _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return (code, None, list(lines)) if code >= 0 else (128 - code, -code, list(lines))


@contextmanager
def _signals_passed_to(child: int) -> Iterator[None]:
    """Pass signals on to the child; Ctrl+C on a terminal reaches it without that."""

    def forward(number: int, frame: Any) -> None:
        if number != signal.SIGINT or not sys.stdin or not sys.stdin.isatty():
            os.kill(child, number)

    before = {number: signal.signal(number, forward) for number in ASKED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def describe(killed_by: signal.Signals, lines: list[str]) -> str:
    """Name a signal, and what the process printed last on standard error.

    Example:
        >>> describe(signal.SIGSEGV, ["loading", "bad kernel"])
        'SIGSEGV; it printed last: loading | bad kernel'
    """
    name = killed_by.name
    if killed_by == signal.SIGKILL:
        name += " (the system sends it when memory runs out)"
    return f"{name}; it printed last: {' | '.join(lines)[-300:]}" if lines else f"{name}; it printed nothing"


@contextmanager
def current_run(key: str) -> Iterator[None]:
    """Note the run of a key for the waiting process, while it is being run."""
    path = os.environ.get(NOTE)
    if path is not None:
        Path(path).write_text(key)
    yield
    if path is not None:
        Path(path).write_text("")


def deaths_so_far() -> list[tuple[str, str, str]]:
    """Return the runs that killed the study's process since the command was started: a number, key and cause of each.

    The number is another one in every command.
    """
    deaths = json.loads(os.environ.get(DEATHS, "[]"))
    return [(f"{os.environ.get(NOTE)}:{number}", key, cause) for number, (key, cause) in enumerate(deaths)]
