"""Lines of a log that fit the terminal."""

import logging
from collections.abc import Iterable
from typing import Any

from foundation.terminal.folding import fitted


class FittedLines(logging.Formatter):
    """Format a record as its handler did, and fold it to the terminal that the handler writes to.

    Args:
        handler: Whose stream is looked at for each record, since a progress bar exchanges it.
    """

    def __init__(self, handler: "logging.StreamHandler[Any]") -> None:
        super().__init__()
        self.handler, self.before = handler, handler.formatter or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line or lines."""
        return fitted(self.before.format(record), self.handler.stream)


def fit_lines(handlers: Iterable["logging.StreamHandler[Any]"]) -> None:
    """Make handlers fold what they write to a terminal; a second call changes nothing."""
    for handler in handlers:
        if not isinstance(handler.formatter, FittedLines):
            handler.setFormatter(FittedLines(handler))
