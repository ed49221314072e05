"""Explain in one line why torch's processes lost each other or could not connect."""

import os
import re

from foundation.compat.torch import NO_ANSWER_FROM_MASTER, PORT_IN_USE, PROCESS_GONE, PROCESS_SILENT, PROCESSES_MISSING

TIMEOUT_VARIABLE = "DESCENT_TIMEOUT"
DEFAULT_TIMEOUT = 1800  # seconds; the default of torch and Lightning


def timeout_seconds() -> int:
    """Return how long a process waits for the others, in seconds ≥ 1.

    Raises:
        ValueError: `DESCENT_TIMEOUT` is no such number.
    """
    text = os.environ.get(TIMEOUT_VARIABLE, str(DEFAULT_TIMEOUT))
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{TIMEOUT_VARIABLE} must be a number of seconds ≥ 1, got {text!r}.")
    return int(text)


IN_USE = (
    "port {0} on this machine is in use, by another run or by a process left from one. "
    "Choose another: MASTER_PORT=…, or torchrun --master-port …."
)
NO_MASTER = (
    "the first process does not answer at {0}, port {1}, within {seconds} s: is it running, and is the port open "
    "between the machines? {variable} sets the seconds."
)
MISSING = (
    "{0} of {1} processes joined within {seconds} s: start the others, with the same MASTER_ADDR and MASTER_PORT. "
    "{variable} sets the seconds."
)
SILENT = (
    "another process did not answer within {seconds} s: it hangs, or its machine is down. The last checkpoint is "
    "complete: resume with --ckpt_path last. {variable} sets the seconds."
)
GONE = (
    "another process ended, so this one ends too; the error of the other process, above, is the cause. The last "
    "checkpoint is complete: resume with --ckpt_path last."
)
RULES = {
    PORT_IN_USE: IN_USE,
    NO_ANSWER_FROM_MASTER: NO_MASTER,
    PROCESSES_MISSING: MISSING,
    PROCESS_SILENT: SILENT,
    PROCESS_GONE: GONE,
}
"""Pattern of an error of torch, and the line to print; `{0}` is the pattern's first group. The first match counts."""


def explain_loss(error: BaseException) -> str | None:
    """Return a line for the user if the connection between processes failed, else `None`.

    Example:
        >>> explain_loss(RuntimeError("[gloo/transport/tcp/pair.cc:545] Read error: Connection reset by peer."))[:21]
        'another process ended'
        >>> explain_loss(RuntimeError("shapes cannot be multiplied"))
    """
    if not isinstance(error, RuntimeError):
        return None
    text = " ".join(str(error).split())
    for pattern, line in RULES.items():
        if found := re.search(pattern, text):
            seconds = timeout_seconds() if "{seconds}" in line else None
            return line.format(*found.groups(), seconds=seconds, variable=TIMEOUT_VARIABLE)
    return None
