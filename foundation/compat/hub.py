"""Ask Hugging Face's hub for files without minutes of retries where there is no network."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from huggingface_hub import constants

SECONDS = 5.0
"""Time in which the hub must accept a connection."""


def hub_answers() -> bool:
    """Return whether the hub's host accepts connections; with a proxy this is not known, and taken for granted."""
    address = urlsplit(constants.ENDPOINT)
    if os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        return True
    try:
        socket.create_connection((address.hostname, address.port or 443), timeout=SECONDS).close()
    except OSError:
        return False
    return True


@contextmanager
def without_retries() -> Iterator[None]:
    """Use only files that were downloaded before, if the hub does not answer.

    The library reads the variable HF_HUB_OFFLINE once, when it is imported; there is no other public switch.
    """
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not hub_answers()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
