"""Errors and timeouts of downloads: a failed download gives a one-line error that says what to do."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from tarfile import TarError

from foundation.errors import UserError

TIMEOUT = 30.0  # seconds without a response


@contextmanager
def download_errors(what: str, advice: str) -> Iterator[None]:
    """Download and unpack within this context; without a response the download fails after `TIMEOUT`.

    Args:
        what: What failed, e.g. "CIFAR-10 is not in FOLDER and cannot be downloaded"; the cause is appended.
        advice: What the user can do.

    Raises:
        UserError: If the download fails, except for a missing permission, which is raised unchanged.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # torchvision sets none, so that a silent network would block for ever
    try:
        yield
    except PermissionError:
        raise
    except (OSError, RuntimeError, HTTPException, TarError, EOFError) as error:
        raise UserError(f"{what} ({error}): {advice}") from error
    finally:
        socket.setdefaulttimeout(before)
