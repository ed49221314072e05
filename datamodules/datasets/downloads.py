"""What can go wrong while a data set is fetched, said in one line."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from tarfile import TarError

from foundation.errors import UserError

TIMEOUT = 30.0  # seconds without an answer


@contextmanager
def download_explained(what: str, ways_out: str) -> Iterator[None]:
    """Fetch and unpack within; a network that is silent is given up.

    Args:
        what: "CIFAR-10 is not in FOLDER and cannot be had"; the cause comes behind it.
        ways_out: What the user can do.

    Raises:
        UserError: It failed, and not for want of a permission.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # torchvision gives none, so that a silent network would hang for ever
    try:
        yield
    except PermissionError:
        raise
    except (OSError, RuntimeError, HTTPException, TarError, EOFError) as error:
        raise UserError(f"{what} ({error}): {ways_out}") from error
    finally:
        socket.setdefaulttimeout(before)
