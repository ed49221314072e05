"""Judge what it says: one line, the culprit's key, advice that is right."""

import re
from dataclasses import replace

from tests.fuzz.case import Case
from tests.fuzz.process import run

LINES, CHARACTERS = 3, 400
MAY_BE_ACCEPTED = ("value", "class", "dropped", "other", "option", "study")
RIGHT = ("0x10", "2", "100", "1.5", "true")
OFTEN_IN_THE_WAY = ("batch_size", "max_epochs", "max_steps", "image_size", "devices", "size", "optimizer")
EMPTY = (b"model:\n", b"{}\n", b"trainer: {callbacks: {}}\n")
"""Files that change nothing."""


def faults(case: Case, code: int, said: str, left: list[str]) -> list[str]:
    """Return what is wrong with an answer; empty if it is as it should be."""
    found = []
    if "Traceback" in said or code not in (0, 2):
        found.append(f"ends with {code}{' and a traceback' if 'Traceback' in said else ''}")
    if code == 0:
        return [*found, *(["accepted"] if case.kind not in MAY_BE_ACCEPTED and case.file not in EMPTY else [])]
    error = said[said.rfind("error: ") :].strip() if "error: " in said else said
    lines = [line for line in error.splitlines() if line.strip()]
    if len(lines) > LINES or len(error) > CHARACTERS + len("error: "):
        found.append(f"says {len(lines)} lines, {len(error)} characters")
    if case.key and case.key.rpartition(".")[2] not in error and not _names_another(case, error):
        found.append(f"does not name {case.key}")
    if case.kind == "misspelt":
        found += _wrong_advice(case, error)
    if left and "The run has diverged: " not in error:  # what it logged is the user's
        found.append(f"leaves {left[:3]}")
    return found


def _names_another(case: Case, error: str) -> bool:
    """Whether a value that is right by itself is refused beside another, whose key the message names.

    The range test of find-lr may find no learning rate with values that are right.
    """
    others = (*OFTEN_IN_THE_WAY, "The loss does not fall")
    return case.words[-1].partition("=")[2] in RIGHT and any(name in error for name in others)


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
    if "unknown key" in said or "unknown argument" in said:  # a key is suggested, not a value
        return []
    if case.kind not in ("value", "class") or advice is None or not last.startswith(f"--{case.key}="):
        return []
    answer = run(replace(case, words=(*case.words[:-1], f"--{case.key}={advice[1]}")))
    again = re.search(rf"{re.escape(case.key)}(:| must be)", answer[1])
    return [f"{advice[1]} is refused too: {answer[1].strip()[-150:]}"] if answer[0] and again else []
