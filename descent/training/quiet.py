"""Hide what Lightning prints in every run."""

import logging
import warnings

from foundation.compat.lightning_messages import LOG_LINES, LOGGERS, WARNINGS


def quiet() -> None:
    """Hide messages and warnings that Lightning prints in every run and that do not help here."""
    for message in WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(lambda record: not record.getMessage().startswith(LOG_LINES))
