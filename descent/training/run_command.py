"""Run a training command, and turn a user's mistake into one line and exit code 2."""

import logging
import os
import sys
import warnings
from typing import Any, NoReturn

from lightning.fabric.utilities.exceptions import MisconfigurationException

from descent import presets
from descent.runs.folder import resolve_checkpoint, run_of
from descent.training.command_line import DescentCLI
from descent.training.connection_errors import explain_loss
from foundation.compat.lightning_messages import LOG_LINES, LOGGERS, WARNINGS
from foundation.errors import UserError
from foundation.processes import is_first_to_say, process_name

TRACEBACK_SWITCH = "DESCENT_TRACEBACK"


def run_command(words: list[str]) -> Any:
    """Parse, make and run; `words[0]` is the command.

    Raises:
        SystemExit: With 2 after a user's mistake.
    """
    quiet()
    try:
        words = with_config_of_checkpoint(resolve_presets(words))
        return DescentCLI(words)
    except (UserError, MisconfigurationException, OSError) as error:
        fail(error)
    except Exception as error:
        lost = explain_loss(error)
        if lost is not None:
            fail(error, lost)
        if name := process_name():
            print(f"error{name}: {type(error).__name__}: {error}", file=sys.stderr)
        raise


def resolve_presets(words: list[str]) -> list[str]:
    """Words of a command line with the presets' paths in them resolved, also in `--key=path`."""
    resolved = []
    for word in words:
        key, equals, value = word.partition("=")
        if word.startswith("-") and equals:
            resolved.append(f"{key}={presets.resolve(value)}")
        else:
            resolved.append(presets.resolve(word))
    return resolved


def with_config_of_checkpoint(words: list[str]) -> list[str]:
    """Without `-c`, the config of the checkpoint's run goes first, so that what is typed comes after it and wins."""
    if any(word in ("-c", "--config") or word.startswith("--config=") for word in words):
        return words
    path = _value_of("--ckpt_path", words)
    if path is None or path in ("best", "last"):
        return words
    run = run_of(resolve_checkpoint(path, "last", None))
    if run is None:
        return words
    return [words[0], "--config", str(run.config), *words[1:]]


def _value_of(option: str, words: list[str]) -> str | None:
    for word, following in zip(words, [*words[1:], None], strict=True):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def fail(error: BaseException, text: str | None = None) -> NoReturn:
    """Say it in one line and exit with 2; with DESCENT_TRACEBACK=1 show where it came from.

    Args:
        error: What was raised.
        text: The line; by default what the error says.
    """
    if os.environ.get(TRACEBACK_SWITCH):
        raise error
    text = text or " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.filename and str(error.filename) not in text:
        text = f"{text}: {error.filename}"
    if is_first_to_say(text):
        print(f"error{process_name()}: {text}", file=sys.stderr)
    raise SystemExit(2) from None


def quiet() -> None:
    """Leave out what Lightning says in every run and that helps nobody here."""
    for message in WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(lambda record: not record.getMessage().startswith(LOG_LINES))
