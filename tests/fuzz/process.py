"""Run a case in a forked process, in a folder of its own, and say what it printed and what it left there."""

import atexit
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from stat import S_ISDIR
from threading import Timer

from PIL import Image

from tests.forked import status_of
from tests.fuzz.case import QUICK, Case
from tests.fuzz.files import USER_MODULE

SECONDS = 120


def run(case: Case) -> tuple[int, str, list[str]]:
    """Return the exit code, the error output and what was left or changed in the folder."""
    folder = Path(tempfile.mkdtemp())
    if case.needs_run:
        shutil.copytree(finished_run(), folder, dirs_exist_ok=True)
    if case.file is not None:
        (folder / "mistake.yaml").write_bytes(case.file)
    (folder / "mistake.py").write_text(USER_MODULE)
    before = snapshot(folder)
    code, said = in_a_fork(case.words, folder)
    left = sorted(name for name, state in snapshot(folder).items() if before.get(name) != state)
    shutil.rmtree(folder, ignore_errors=True)
    return code, said, left


@cache
def finished_run() -> Path:
    """Return a folder with a finished run in `runs/` and images in `images/`; the first call makes it."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    code, said = in_a_fork(("fit", "-c", "configs/quickstart.yaml", *QUICK), folder)
    assert code == 0, said
    (folder / "images").mkdir()
    for number in range(3):
        Image.new("L", (8, 8), 40 * number).save(folder / "images" / f"{number}.png")
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of every file inside a folder, and the names of the folders."""
    paths = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    states = {str(path.relative_to(folder)): path.stat() for path in paths}
    return {
        name: (0, 0) if S_ISDIR(state.st_mode) else (state.st_size, state.st_mtime_ns) for name, state in states.items()
    }


def in_a_fork(words: Sequence[str], folder: Path) -> tuple[int, str]:
    """Return the exit code and the error output of a command that a forked process runs in a folder."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _run_and_end(words, folder, write)
    os.close(write)
    end = Timer(SECONDS, _kill_group, (child,))
    end.start()
    with os.fdopen(read, "rb") as stream:
        said = stream.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    end.cancel()
    return code, said


def _kill_group(leader: int) -> None:
    """Kill a command that hangs, with the processes that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _run_and_end(words: Sequence[str], folder: Path, write: int) -> None:
    code = 1
    try:
        os.chdir(folder)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(write, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        code = status_of(words)
    finally:
        sys.stderr.flush()
        os._exit(code)
