"""Run a case in a process of its own and judge what it says: one line, the culprit's key, advice that is right."""

import os
import re
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from cli import main
from tests.fuzz.cases import Case, leftovers
from tests.fuzz.files import USER_MODULE

LINES, CHARACTERS, SECONDS = 3, 400, 120
MAY_BE_ACCEPTED = ("value", "class", "dropped", "other")
EMPTY = (b"model:\n", b"{}\n", b"<<: 3\n")
"""Files that change nothing."""


def run(case: Case) -> tuple[int, str, list[str]]:
    """Return the exit code, the error output and what was left in the folder, from a forked process."""
    folder = Path(tempfile.mkdtemp())
    if case.file is not None:
        (folder / "mistake.yaml").write_bytes(case.file)
    (folder / "mistake.py").write_text(USER_MODULE)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _run_and_end(case, folder, write)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        said = stream.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = leftovers(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return code, said, left


def _run_and_end(case: Case, folder: Path, write: int) -> None:
    code = 1
    try:
        os.chdir(folder)
        signal.alarm(SECONDS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(write, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        main(list(case.words))
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def faults(case: Case, code: int, said: str, left: list[str]) -> list[str]:
    """Return what is wrong with an answer; empty if it is as it should be."""
    found = []
    if "Traceback" in said or code not in (0, 2):
        found.append(f"ends with {code}{' and a traceback' if 'Traceback' in said else ''}")
    if code == 0:
        return [*found, *(["accepted"] if case.kind not in MAY_BE_ACCEPTED and case.file not in EMPTY else [])]
    error = said[said.rfind("error: ") :] if "error: " in said else said
    lines = [line for line in error.splitlines() if line.strip()]
    if len(lines) > LINES or len(error) > CHARACTERS + len("error: "):
        found.append(f"says {len(lines)} lines, {len(error)} characters")
    if case.key and case.key.rpartition(".")[2] not in error:
        found.append(f"does not name {case.key}")
    if case.kind == "misspelt":
        found += _wrong_advice(case, error)
    if left:
        found.append(f"leaves {left[:3]}")
    return found


def _wrong_advice(case: Case, error: str) -> list[str]:
    advice = re.search(r"[Dd]id you mean (.*?)\?", error)
    if advice is None:
        return ["suggests nothing"]
    suggested = re.findall(r"[\w.]+", advice[1])
    return [] if case.meant in suggested else [f"suggests {advice[1]} for {case.meant}"]


def wrong_when_applied(case: Case, said: str) -> list[str]:
    """Return what is wrong with a suggested value: when it is given, the same key must not be refused again."""
    advice = re.search(r"(?:[Dd]id you mean|: write) ([^\s?]+?)(?:\?|\.? |\.?$)", said.strip())
    last = case.words[-1]
    if case.kind not in ("value", "class") or advice is None or not last.startswith(f"--{case.key}="):
        return []
    answer = run(replace(case, words=(*case.words[:-1], f"--{case.key}={advice[1]}")))
    again = re.search(rf"{re.escape(case.key)}(:| must be)", answer[1])
    return [f"{advice[1]} is refused too: {answer[1].strip()[-150:]}"] if answer[0] and again else []
