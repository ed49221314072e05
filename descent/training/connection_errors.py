"""What torch says when processes lose or cannot find each other, in a line for people."""

import os
import re
from collections.abc import Callable

from foundation.compat.torch import NO_ANSWER_FROM_MASTER, PORT_IN_USE, PROCESS_GONE, PROCESS_SILENT, PROCESSES_MISSING

TIMEOUT_VARIABLE = "DESCENT_TIMEOUT"
DEFAULT_TIMEOUT = 1800  # seconds; torch's and Lightning's own


def timeout_seconds() -> int:
    """How long a process waits for the others, in seconds ≥ 1.

    Raises:
        ValueError: `DESCENT_TIMEOUT` is no such number.
    """
    text = os.environ.get(TIMEOUT_VARIABLE, str(DEFAULT_TIMEOUT))
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{TIMEOUT_VARIABLE} must be a number of seconds ≥ 1, got {text!r}.")
    return int(text)


def _in_use(found: re.Match[str]) -> str:
    return (
        f"port {found[1]} on this machine is in use: another run, or what is left of one, listens there. "
        "Give another: MASTER_PORT=…, or torchrun --master-port …."
    )


def _no_master(found: re.Match[str]) -> str:
    return (
        f"the first process does not answer at {found[1]}, port {found[2]}, within {timeout_seconds()} s: is it "
        f"running, and is the port open between the machines? {TIMEOUT_VARIABLE} sets the seconds."
    )


def _missing(found: re.Match[str]) -> str:
    return (
        f"{found[1]} of {found[2]} processes came within {timeout_seconds()} s: start the others, with the same "
        f"MASTER_ADDR and MASTER_PORT. {TIMEOUT_VARIABLE} sets the seconds."
    )


def _silent(found: re.Match[str]) -> str:
    return (
        f"another process did not answer within {timeout_seconds()} s: it hangs, or its machine is gone. The last "
        f"checkpoint is whole: go on with --ckpt_path last. {TIMEOUT_VARIABLE} sets the seconds."
    )


def _gone(found: re.Match[str]) -> str:
    return (
        "another process ended, so this one ends too; what the other said before tells why. The last checkpoint is "
        "whole: go on with --ckpt_path last."
    )


RULES: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (PORT_IN_USE, _in_use),
    (NO_ANSWER_FROM_MASTER, _no_master),
    (PROCESSES_MISSING, _missing),
    (PROCESS_SILENT, _silent),
    (PROCESS_GONE, _gone),
]


def explain_loss(error: BaseException) -> str | None:
    """A line, if the error is of the connection between processes; else nothing.

    Example:
        >>> explain_loss(RuntimeError("[gloo/transport/tcp/pair.cc:545] Read error: Connection reset by peer."))[:21]
        'another process ended'
        >>> explain_loss(RuntimeError("shapes cannot be multiplied"))
    """
    if not isinstance(error, RuntimeError):
        return None
    text = " ".join(str(error).split())
    for pattern, words in RULES:
        found = re.search(pattern, text)
        if found:
            return words(found)
    return None
