"""Print a user's mistake in one line and exit with code 2, without importing torch or Lightning."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from foundation.compat.lightning_messages import reworded
from foundation.errors import TRACEBACK_SWITCH, UserError, error_line
from foundation.processes import is_first_to_say, process_name


@contextmanager
def mistakes_in_one_line(when_stopped: str | None = None) -> Iterator[None]:
    """Turn a user's mistake into one line on standard error and exit code 2; any other error passes.

    Args:
        when_stopped: What to print after Ctrl+C, which then ends with exit code 130; by default it passes.

    Example:
        >>> with mistakes_in_one_line():
        ...     raise UserError("lr must be > 0.")
        Traceback (most recent call last):
        SystemExit: 2
    """
    try:
        yield
    except KeyboardInterrupt:
        if when_stopped is None:
            raise
        print(f"\n{when_stopped}", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if not is_mistake(error):
            raise
        fail(error)


def is_mistake(error: BaseException) -> bool:
    """Whether an error comes from a config, an argument or a file, and not from a defect in code."""
    lightning = sys.modules.get("lightning.fabric.utilities.exceptions")  # loaded, if the error is one of Lightning's
    kinds = (UserError, OSError, *([lightning.MisconfigurationException] if lightning else []))
    return isinstance(error, kinds)


def fail(error: BaseException, text: str | None = None) -> NoReturn:
    """Print an error in one line and exit with code 2; with DESCENT_TRACEBACK=1 raise it instead.

    Args:
        error: The exception.
        text: The line; by default the exception's message.
    """
    if os.environ.get(TRACEBACK_SWITCH):
        raise error
    text = text or reworded(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, OSError) and error.filename and str(error.filename) not in text:
        text = f"{text}: {error.filename}"
    if is_first_to_say(text):
        print(error_line(text, process_name()), file=sys.stderr)
    raise SystemExit(2) from None
